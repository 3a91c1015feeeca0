"""Events of many kinds for LogQL: of the native API and of the Loki API; JSON, logfmt, plain and broken lines."""

from __future__ import annotations

import json
from typing import Any

NOW_US = 1_743_156_000_000_000
"""2025-03-28T10:00:00Z, which the last event has."""

SECOND_US = 1_000_000

SERVICES = ("auth", "pay", "web", None)
LEVELS = ("INFO", "WARN", "ERROR", "DEBUG", None)


def _line(number: int) -> str:
    kinds = (
        lambda: json.dumps(
            {
                "status": (200, 404, 500)[number % 3],
                "latency": f"{number * 7 % 90}ms",
                "path": f"/api/v{number % 4}/users",
                "ok": number % 2 == 0,
                "user": {"id": number % 6, "name": ("ann", "bob", "cy")[number % 3], "tags": ["x", number]},
                "size": f"{number % 9}KB",
                "none": None,
                "ratio": number / 8,
            }
        ),
        lambda: (
            f'level=info status={(200, 503)[number % 2]} latency={number % 40}.5ms path="/api/v{number % 3} x" '
            f'msg="it \\"broke\\"" empty= size={number % 5}MB count={number % 11}'
        ),
        lambda: f"10.0.{number % 3}.{number} - GET /index{number % 4}.html {(200, 404)[number % 2]} {number * 31}",
        lambda: f"error: connection to db-{number % 2} timed out after {number}s (attempt {number % 5})",
        lambda: ('{"broken": 1, ', 'status= =x "odd', "", "\x1b[31mred\x1b[0m text", "only words here")[
            number // 7 % 5
        ],
        lambda: json.dumps({"_entry": f"packed {number}", "pod": f"pod-{number % 3}", "n": number}),
        lambda: f"level=warn took {number % 13} value={number * 3 % 17} unit={number % 3}h{number}m",
    )
    return kinds[number % len(kinds)]()


def events(count: int = 140) -> list[dict[str, Any]]:
    """Rows of EVENT_SCHEMA, three seconds apart and at the last second of each ten at the very full second."""
    rows: list[dict[str, Any]] = []
    for number in range(count):
        time_us = NOW_US - (count - 1 - number) * 3 * SECOND_US + (number % 3) * 250_000 * (number % 2)
        row: dict[str, Any] = {"timestamp": time_us, "observed_timestamp": time_us, "message": _line(number)}
        if number % 3 == 2:
            stream = {"app": ("shop", "cart")[number % 2], "env": ("prod", "dev", "prod")[number // 3 % 3]}
            if number % 4 == 0:
                stream["level"] = "Info"
            # A label and an id that stand in the columns of their names are no attributes.
            said = {"host": f"host-{number % 2}"} if number % 9 == 8 else {}
            text = "{" + ", ".join(f'{name}="{value}"' for name, value in sorted((stream | said).items())) + "}"
            extra = {"request_id": f"r{number % 7}"} if number % 5 else {"user_name": "meta"}
            row |= {"service": stream["app"], "level": LEVELS[number % 5], **said}
            if said:
                row["trace_id"] = f"{number % 5:032x}"
            row["attributes"] = {**stream, **extra, "_loki_stream": text}
        else:
            row |= {"service": SERVICES[number % 4], "level": LEVELS[number % 5]}
            row["host"] = f"host-{number % 2}" if number % 7 else None
            row["trace_id"] = f"{number % 5:032x}" if number % 4 else None
            attributes = {"http.status": str(200 + number % 3), "latency_ms": str(number * 5 % 37)}
            if number % 6 == 0:
                attributes |= {"status": "meta", "level": "odd", "1st": "one", "wait": f"{number % 9}s"}
            row["attributes"] = attributes
        rows.append(row)
    return rows


def as_loki(row: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """The labels of an event's stream and its metadata: the rule of docs/ingest/loki-query.md, word by word."""
    attributes = dict(row.get("attributes", {}))
    text = attributes.pop("_loki_stream", None)
    service = row.get("service") or "unknown_service"
    if text is None:
        named = {"service_name": service, "level": (row.get("level") or "").lower(), "host": row.get("host") or ""}
    else:
        named = {"service_name": service, **dict(_pairs(text))}
    stream = {name: value for name, value in named.items() if value}
    metadata: dict[str, str] = {}
    for name, value in attributes.items():
        label = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)
        label = f"_{label}" if label[0].isdigit() else label
        if label in stream:
            if text is not None:
                continue
            label = f"{label}_extracted"
        metadata.setdefault(label, value)
    for name in ("trace_id", "span_id"):
        if row.get(name):
            metadata[name] = row[name]
    metadata.setdefault("detected_level", (row.get("level") or "unknown").lower())
    return stream, metadata


def _pairs(text: str) -> list[tuple[str, str]]:
    """No value here has a quote or a comma."""
    return [(part.split("=")[0], part.split("=")[1].strip('"')) for part in text.strip("{}").split(", ")]
