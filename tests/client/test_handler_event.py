"""From log record to NDJSON line."""

from __future__ import annotations

import json
import logging
import math
import sys
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.handler.event import capture, render

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.tuples(st.text()), inner),
    max_leaves=12,
)


def line_of(record: logging.LogRecord) -> dict[str, Any]:
    line = render(capture(record, None), "shop", "web-1")
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    event: dict[str, Any] = json.loads(line.decode("utf-8", "strict"), parse_constant=refuse)
    return event


def record_with(message: str = "hello", /, **extra: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelno": 20, "name": "app", "created": 1743156000.123456} | extra)


@pytest.mark.slow
@settings(max_examples=60)
@given(st.text(), st.dictionaries(st.text(min_size=1), ANYTHING, max_size=5))
def test_whatever_is_logged_is_one_line_of_strict_json(message: str, extra: dict[str, Any]) -> None:
    """Any text and any `extra` (NaN, bytes, odd keys, lone surrogates) gives valid UTF-8, valid JSON, one line."""
    own = {*vars(record_with()), "message", "asctime"}  # logging refuses these
    event = line_of(record_with(message, **{name: value for name, value in extra.items() if name not in own}))
    assert event["message"] == message.encode("utf-8", "replace").decode()


@pytest.mark.slow
@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}_x", fullmatch=True), st.text(st.characters(codec="utf-8")) | st.integers()
    )
)
def test_plain_extra_arrives_unchanged(extra: dict[str, Any]) -> None:
    """Texts and numbers in `extra` are attributes of the same name and value."""
    attributes = line_of(record_with(**extra))["attributes"]
    assert {name: attributes[name] for name in extra} == extra


@given(st.integers(0, 4_102_444_800_000_000))
def test_the_time_is_exact_to_a_microsecond(created_us: int) -> None:
    """The float seconds of a record come out as the microseconds that went in."""
    text = line_of(record_with(created=created_us / 1e6))["timestamp"]
    read = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert abs((read - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() - created_us / 1e6) < 1.5e-6


@pytest.mark.parametrize(
    ("number", "level"),
    [
        (5, "TRACE"),
        (10, "DEBUG"),
        (20, "INFO"),
        (25, "INFO"),
        (30, "WARN"),
        (40, "ERROR"),
        (45, "ERROR"),
        (50, "FATAL"),
    ],
)
def test_levels_follow_the_number(number: int, level: str) -> None:
    """Custom levels fall to the nearest one below."""
    assert line_of(record_with(levelno=number))["level"] == level


def test_an_extra_never_hides_what_the_record_says() -> None:
    """An `extra` named like an attribute of ours gets a prefix; one named like a field stays an attribute."""
    event = line_of(record_with(logger="mine", line="x", service="other", level="y"))
    attributes = event["attributes"]
    assert event["service"] == "shop"
    assert attributes["logger"] == "app"
    assert attributes["extra.logger"] == "mine"
    assert attributes["extra.line"] == "x"
    assert attributes["service"] == "other"


def test_cycles_and_not_a_number_become_text() -> None:
    """What JSON cannot say is said by its repr."""
    loop: list[Any] = [1]
    loop.append(loop)
    attributes = line_of(record_with(loop=loop, nan=math.nan, infinite=-math.inf, shape={(1, 2): {3}}))["attributes"]
    assert attributes["nan"] == "nan"
    assert attributes["infinite"] == "-inf"
    assert attributes["shape"] == {"(1, 2)": "{3}"}
    assert "[...]" in json.dumps(attributes["loop"])


def test_the_current_span_of_opentelemetry_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only when the application has imported OpenTelemetry, and unless `extra` names a trace itself."""
    trace = pytest.importorskip("opentelemetry.trace", reason="opentelemetry-api is not installed")
    context = trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(context)):
        inside = line_of(record_with())
        named = line_of(record_with(trace_id="mine"))
    assert (inside["trace_id"], inside["span_id"]) == (f"{0xABC:032x}", f"{0xDEF:016x}")
    assert (named["trace_id"], named.get("span_id")) == ("mine", None)
    assert "trace_id" not in line_of(record_with())


def test_without_opentelemetry_nothing_is_imported_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module is looked for among the loaded ones only."""
    monkeypatch.delitem(sys.modules, "opentelemetry.trace", raising=False)
    assert "trace_id" not in line_of(record_with())
    assert "opentelemetry.trace" not in sys.modules


def test_a_broken_opentelemetry_costs_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """A context that is not valid, as outside of any span, leaves the ids out."""
    module = ModuleType("opentelemetry.trace")
    context = SimpleNamespace(is_valid=False)
    vars(module)["get_current_span"] = lambda: SimpleNamespace(get_span_context=lambda: context)
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", module)
    assert "trace_id" not in line_of(record_with())
