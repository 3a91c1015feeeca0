"""What a pipeline costs: `python -m bench.pipeline`. Decoding and encoding of one body with the steps, and without.

The same process takes turns, so that both see the same machine; the figure is the median of the turns.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
from pathlib import Path

from tailrace.config import IngestSettings
from tailrace.ingest.json_logs import decode_json
from tailrace.ingest.shape import Shape, Unshaped
from tailrace.model.batch import encode_batch
from tailrace.steps.pipeline import load_pipeline

EVENTS = 50_000
TURNS = 7
LIMITS = IngestSettings()
NOW_US = 1_763_726_400_000_000

PIPELINES = {
    "json": '[[step]]\nkind = "json"\n',
    "redact cards": '[[step]]\nkind = "redact"\ndetect = ["card"]\n',
    "redact all kinds": '[[step]]\nkind = "redact"\ndetect = ["card", "email", "ipv4", "ipv6", "token"]\n',
    "json, redact cards, e-mails, tokens": (
        '[[step]]\nkind = "json"\n[[step]]\nkind = "redact"\ndetect = ["card", "email", "token"]\n'
    ),
    "logfmt": '[[step]]\nkind = "logfmt"\n',
    "drop_events": '[[step]]\nkind = "drop_events"\nwhere = "level:DEBUG OR path:\\"/healthz\\""\n',
    "sample": '[[step]]\nkind = "sample"\nkeep_one_of = 10\n',
    "grok (access log)": '[[step]]\nkind = "grok"\nfield = "access"\npatterns = ["%{COMMONAPACHELOG}"]\n',
}


def body(events: int) -> bytes:
    """Events as a service in a container logs them: JSON in the message; each hundredth has a card number."""
    dice = random.Random(7)
    lines = []
    for number in range(events):
        inner: dict[str, object] = {
            "level": dice.choice(["info", "info", "warn", "debug"]),
            "msg": f"order {number} of customer {dice.randrange(10_000)} took {dice.randrange(2_000)} ms",
            "path": dice.choice(["/cart", "/pay", "/healthz"]),
            "user": {"id": dice.randrange(10_000), "mail": f"user{dice.randrange(10_000)}@example.com"},
        }
        if number % 100 == 0:
            inner["pan"] = "4111 1111 1111 1111"
        client = f"10.0.{dice.randrange(256)}.{dice.randrange(256)}"
        access = f'{client} - - [20/Nov/2025:10:00:00 +0000] "GET / HTTP/1.1" 200 5'
        event = {"timestamp": NOW_US - number, "service": "shop", "message": json.dumps(inner), "access": access}
        lines.append(json.dumps(event))
    return "\n".join(lines).encode()


def taken_s(content: bytes, shape: Shape) -> float:
    started = time.perf_counter()
    for shaped in shape.apply(decode_json(content, limits=LIMITS, now_us=NOW_US).events):
        encode_batch(shaped.events)
    return time.perf_counter() - started


def main() -> None:
    content, single = body(EVENTS), body(1)
    with tempfile.TemporaryDirectory() as folder:
        for name, toml in PIPELINES.items():
            file = Path(folder) / "pipeline.toml"
            file.write_text(toml)
            shape = load_pipeline(file, limits=LIMITS, environment={})
            taken_s(content, shape)
            turns = [
                (taken_s(content, Unshaped()), taken_s(content, shape), taken_s(single, shape)) for _ in range(TURNS)
            ]
            without_s, with_s, one_s = map(statistics.median, zip(*turns, strict=True))
            print(
                f"{name:<36} {EVENTS / with_s:>10,.0f} events/s, {without_s / with_s:.2f} of those without "
                f"({EVENTS / without_s:,.0f}); one event alone {one_s * 1e3:.2f} ms"
            )


if __name__ == "__main__":
    main()
