"""A `logging.LogRecord` becomes one line of NDJSON, in two steps.

`capture` runs in the application's thread: it takes from the record what may change or vanish afterwards (the
message with its arguments, `extra`, the traceback, the current span). `render` runs in the background and makes
the line. The field names are those of `POST /logs`; exceptions are named as in OpenTelemetry's semantic
conventions (`exception.type`, `exception.message`, `exception.stacktrace`).
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, NamedTuple

# What every record has; anything else came by `extra`.
_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_IDS = ("trace_id", "span_id")

# Attributes the record itself gives. An `extra` of that name is called `extra.NAME`.
_TAKEN = frozenset({"logger", "module", "line", "function", "thread", "process", "exception"})

_NESTING_MAX = 8

# Members of an event besides its texts: braces, names, the numbers and the timestamp.
_FRAME_BYTES = 250

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=repr).encode


class Captured(NamedTuple):
    """What of a record must be taken at once."""

    created_s: float
    level: str
    message: str
    logger: str
    module: str
    line: int
    function: str | None
    thread: str | None
    process: int | None
    trace_id: str | None
    span_id: str | None
    exception: dict[str, str] | None
    extra_json: str
    """The members of `extra` as JSON, without the braces; empty when there are none."""

    def bytes_estimate(self) -> int:
        """About what the event takes in memory and on the wire, before compression."""
        stack = len(self.exception["stacktrace"]) if self.exception else 0
        return _FRAME_BYTES + len(self.message) + len(self.extra_json) + stack


def capture(record: logging.LogRecord, formatter: logging.Formatter | None) -> Captured:
    """Raises whatever a `__str__` of the application raises, when even its `__repr__` fails."""
    extra = {name: value for name, value in vars(record).items() if name not in _OWN_FIELDS}
    trace_id = span_id = None
    if extra:
        # loguru hands its own extra over as one member of that name.
        inner = extra.get("extra")
        if isinstance(inner, dict):
            del extra["extra"]
            extra = {**inner, **extra}
        trace_id, span_id = (_text_or_none(extra.pop(name, None)) for name in _IDS)
    if trace_id is None:
        trace_id, span_id = _current_span(span_id)
    return Captured(
        created_s=record.created,
        level=_level(record.levelno),
        message=_message(record, formatter),
        logger=record.name,
        module=record.module,
        line=record.lineno,
        function=record.funcName,
        thread=record.threadName,
        process=record.process,
        trace_id=trace_id,
        span_id=span_id,
        exception=_exception(record),
        extra_json=_members(extra) if extra else "",
    )


def render(captured: Captured, service: str, host: str) -> bytes:
    """One line, with its line end. Lone surrogates, which UTF-8 cannot carry, become `?`."""
    event: dict[str, Any] = {
        "timestamp": _iso(captured.created_s),
        "level": captured.level,
        "service": service,
        "host": host,
        "message": captured.message,
    }
    if captured.trace_id is not None:
        event["trace_id"] = captured.trace_id
    if captured.span_id is not None:
        event["span_id"] = captured.span_id
    attributes: dict[str, Any] = {"logger": captured.logger, "module": captured.module, "line": captured.line}
    for name in ("function", "thread", "process", "exception"):
        value = getattr(captured, name)
        if value is not None:
            attributes[name] = value
    # What stands under `attributes` is never taken for a field of the event, whatever its name.
    event["attributes"] = attributes
    text = _encode(event)
    if captured.extra_json:
        text = f"{text[:-2]},{captured.extra_json}}}}}"
    return text.encode("utf-8", "replace") + b"\n"


def _message(record: logging.LogRecord, formatter: logging.Formatter | None) -> str:
    try:
        return record.getMessage() if formatter is None else formatter.format(record)
    except Exception:
        # A wrong format string must not cost the event: its parts are worth more than nothing.
        return f"{record.msg} {record.args!r}"


def _exception(record: logging.LogRecord) -> dict[str, str] | None:
    if record.exc_info and record.exc_info[0] is not None:
        kind, value, trace = record.exc_info
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        return {
            "type": name,
            "message": str(value),
            "stacktrace": "".join(traceback.format_exception(kind, value, trace)).rstrip("\n"),
        }
    stack = record.exc_text or record.stack_info
    return {"stacktrace": stack} if stack else None


def _current_span(span_id: str | None) -> tuple[str | None, str | None]:
    """The ids of OpenTelemetry's current span, when the application uses OpenTelemetry and is inside one."""
    module = sys.modules.get("opentelemetry.trace")
    if module is None:
        return None, span_id
    context = module.get_current_span().get_span_context()
    if not context.is_valid:
        return None, span_id
    return f"{context.trace_id:032x}", span_id or f"{context.span_id:016x}"


def _level(number: int) -> str:
    if number >= logging.ERROR:
        return "FATAL" if number >= logging.CRITICAL else "ERROR"
    if number >= logging.INFO:
        return "WARN" if number >= logging.WARNING else "INFO"
    return "DEBUG" if number >= logging.DEBUG else "TRACE"


def _iso(created_s: float) -> str:
    # Rounded first: a float of today's time is exact to a quarter of a microsecond.
    seconds, microseconds = divmod(round(created_s * 1e6), 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{microseconds:06d}Z"


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)


def _members(extra: dict[Any, Any]) -> str:
    if not _TAKEN.isdisjoint(extra):
        extra = {f"extra.{name}" if name in _TAKEN else name: value for name, value in extra.items()}
    try:
        return _encode(extra)[1:-1]
    except Exception:
        # NaN, keys that are no text, cycles, or a `__repr__` that fails.
        return _encode(_plain(extra, _NESTING_MAX))[1:-1]


def _plain(value: object, depth: int) -> object:
    """The same as plain JSON values: what JSON has no form for (NaN, keys that are no text, cycles) by its repr."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else repr(value)
    if depth > 0 and isinstance(value, dict):
        return {str(key): _plain(member, depth - 1) for key, member in value.items()}
    if depth > 0 and isinstance(value, (list, tuple)):
        return [_plain(member, depth - 1) for member in value]
    return _repr(value)


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__}: repr failed with {type(error).__name__}>"
