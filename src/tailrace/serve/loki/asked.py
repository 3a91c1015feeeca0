"""The parameters of Loki's API: in the query string or, of a POST, in a form."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs

from fastapi import Request

from tailrace.errors import BadInput, TooLarge
from tailrace.query.logql.parse import parse
from tailrace.query.logql.tree import LogQuery, Query
from tailrace.query.logql.values import duration_ns_of, number_of
from tailrace.serve.loki.steps import Steps

LIMIT = 100
LIMIT_MAX = 10_000
"""Lines of one answer."""
_FORM_BYTES_MAX = 1 << 20
_FIELDS_MAX = 1_000
"""Parameters of one request: they are taken apart on the event loop."""
_SECOND_NS = 1_000_000_000
_HOUR_NS = 3600 * _SECOND_NS
_STEPS = 250
"""Steps of a query that names no step, about as many as a chart has columns."""
_NS_MAX = (1 << 62) - 1

CATEGORIZE = "categorize-labels"
_FRACTION = re.compile(r"(\.\d{6})\d+")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request's parameters; the readers raise `BadInput` for values that are none."""

    values: Mapping[str, list[str]]
    now_ns: int
    categorize: bool = False

    def text(self, *names: str) -> str:
        return next((self.values[name][0] for name in names if self.values.get(name)), "")

    def query(self) -> Query:
        """Raises `QueryError`."""
        return parse(self.text("query"))

    def selector(self, *names: str) -> LogQuery:
        """A log query, or every line where nothing is asked for. Raises `QueryError`."""
        text = self.text(*(names or ("query",)))
        found = parse(text) if text.strip() else LogQuery(())
        if not isinstance(found, LogQuery):
            raise BadInput('only a log query, such as {service_name="web"}, is answered here')
        return found

    def span_ns(self, default_ns: int = _HOUR_NS) -> tuple[int, int]:
        """`start` and `end`: by default until now, and as long before as `since` says."""
        end_ns = self._time_ns("end", self.now_ns)
        since = self.text("since")
        if since:
            found = duration_ns_of(since, calendar=True)
            if found is None:
                raise BadInput(f"could not parse 'since' parameter: {since!r} is no duration")
            default_ns = found
        start_ns = self._time_ns("start", max(end_ns - default_ns, -_NS_MAX))
        if end_ns < start_ns:
            raise BadInput("end timestamp must not be before or equal to start time")
        return start_ns, end_ns

    def time_ns(self) -> int:
        return self._time_ns("time", self.now_ns)

    def steps(self) -> Steps:
        start_ns, end_ns = self.span_ns()
        step_ns = self._duration_ns("step") or max((end_ns - start_ns) // _STEPS // _SECOND_NS, 1) * _SECOND_NS
        return Steps(start_ns, end_ns, step_ns).checked()

    def limit(self, default: int = LIMIT, most: int = LIMIT_MAX, name: str = "limit") -> int:
        text = self.text(name)
        if not text:
            return default
        digits = text.lstrip("0")
        if not re.fullmatch(r"\d+", digits, re.ASCII):
            raise BadInput(f"{name} must be a positive value")
        if len(digits) > 9 or int(digits) > most:
            raise BadInput(f"max entries limit per query exceeded, {name} > max_entries_limit ({text[:20]} > {most})")
        return int(digits)

    def direction(self) -> Literal["asc", "desc"]:
        text = self.text("direction").lower()
        if text not in ("", "forward", "backward"):
            raise BadInput(f"invalid direction {text!r}: write forward or backward")
        return "asc" if text == "forward" else "desc"

    def _time_ns(self, name: str, default_ns: int) -> int:
        text = self.text(name)
        return default_ns if not text else _time_ns(name, text)

    def _duration_ns(self, name: str) -> int | None:
        """A duration, or a number of seconds; None when it is not given."""
        text = self.text(name)
        if not text:
            return None
        seconds = number_of(text)
        duration_ns = duration_ns_of(text, calendar=True) if seconds is None else _whole_ns(name, text, seconds)
        if duration_ns is None or not 0 < duration_ns < _NS_MAX:
            raise BadInput(f"cannot parse {text!r} to a valid duration: {name} must be longer than nothing")
        return duration_ns


def _whole_ns(name: str, text: str, seconds: float) -> int:
    if not -_NS_MAX < seconds * 1e9 < _NS_MAX:
        raise BadInput(f"could not parse '{name}' parameter: {text!r} is out of range")
    return round(seconds * 1e6) * 1000


def _time_ns(name: str, text: str) -> int:
    """Whole seconds or nanoseconds, seconds with a fraction, or RFC 3339."""
    if re.fullmatch(r"-?\d+", text, re.ASCII):
        # As in Loki, what has ten digits or fewer is seconds.
        return _bounded(name, text, int(text[:30]) * (_SECOND_NS if len(text) <= 10 else 1))
    seconds = number_of(text)
    if seconds is not None:
        return _whole_ns(name, text, seconds)
    try:
        moment = datetime.datetime.fromisoformat(_FRACTION.sub(r"\1", text))
    except ValueError:
        raise BadInput(f"could not parse '{name}' parameter: {text!r} is neither a number nor RFC 3339") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return _bounded(name, text, (since // datetime.timedelta(microseconds=1)) * 1000)


def _bounded(name: str, text: str, time_ns: int) -> int:
    if abs(time_ns) > _NS_MAX:
        raise BadInput(f"could not parse '{name}' parameter: {text[:40]!r} is out of range")
    return time_ns


def named(text: str) -> dict[str, list[str]]:
    """The values of a query string or form, by name. Raises `BadInput` for too many."""
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=_FIELDS_MAX)
    except ValueError as error:
        raise BadInput(f"the parameters cannot be read: {error}") from error


async def asked(request: Request, now_us: int) -> Asked:
    """Raises `BadInput` for a form that is none, `TooLarge` for a long one."""
    values = named(request.url.query)
    if request.method == "POST":
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > _FORM_BYTES_MAX:
                raise TooLarge(f"the form is larger than {_FORM_BYTES_MAX:,} bytes")
        try:
            values |= named(body.decode())
        except UnicodeDecodeError as error:
            raise BadInput(f"the form cannot be read: {error}") from error
    flags = request.headers.get("x-loki-response-encoding-flags", "")
    return Asked(values, now_us * 1000, CATEGORIZE in flags)
