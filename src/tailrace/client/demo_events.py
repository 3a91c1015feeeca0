"""Events that look like those of a running shop, made by the million.

Whole columns at a time, with numpy and Arrow. Everything follows from the seed, the calls and the times given:
the same seed and calls give the same bytes.

What makes them real: requests leave several events with one trace id in several services, with one span a service;
latencies are log-normal; and every few minutes one service is in trouble for a while: slower, with many errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.client.demo_catalogue import FAILURES, PATHS, REGIONS, ROUTES, SERVICES, TEMPLATES
from tailrace.model.batch import ATTRIBUTES, EVENT_SCHEMA, LEVELS, TIMESTAMP, empty_batch

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

DEMO_START_US = 1_743_156_000_000_000
"""2025-03-28T10:00:00Z, where benchmark events begin."""

_ROWS_AT_ONCE = 65_536

_LEVEL_SHARES = np.array([0.008, 0.12, 0.74, 0.08, 0.05, 0.002])
_TRACED_SHARE = 0.6
_TRACE_EVENTS_MAX = 12
_HOSTS_A_SERVICE = 4
_STACKTRACE_SHARE = 0.4

_INCIDENT_PERIOD_US = 240_000_000
_INCIDENT_START_US = 60_000_000
_INCIDENT_END_US = 105_000_000
_INCIDENT_ERROR_SHARE = 0.4
_INCIDENT_SLOWDOWN = 8

_DEBUG, _INFO, _WARN, _ERROR = (LEVELS.index(name) for name in ("DEBUG", "INFO", "WARN", "ERROR"))

_NUMBERS = pa.array(["latency_ms", "http.status_code"])
"""Attributes that are numbers in JSON."""

_STATUSES = np.array([[200, 200, 200, 201, 204, 304], [400, 401, 404, 404, 409, 429], [500, 500, 502, 503, 503, 504]])


@dataclass(frozen=True, slots=True)
class _Values:
    """What the events of a batch are about; one entry an event."""

    latency_ms: Ints
    user: Ints
    status: Ints


class DemoEvents:
    """A stream of events; each call goes on where the last one ended. Not for several threads at once."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._random = np.random.default_rng(seed)

    def batch(self, events: int, *, start_us: int, end_us: int) -> pa.RecordBatch:
        """`events` rows of EVENT_SCHEMA with `start_us <= timestamp < end_us`, in order of time."""
        if events == 0:
            return empty_batch(EVENT_SCHEMA)
        random = self._random
        trace, place, times = self._traces(events, start_us, end_us)
        traced = trace >= 0
        traces = int(trace.max(initial=-1)) + 1
        hop = place * len(ROUTES[0]) // _TRACE_EVENTS_MAX
        route = random.integers(len(ROUTES), size=max(traces, 1))
        service = np.where(traced, _ROUTES[route[trace], hop], random.integers(len(SERVICES), size=events))
        level = self._levels(events)
        latency_ms = np.exp(random.normal(3.2, 1.0, size=events)).astype(np.int64) + 1

        troubled = self._troubled(service, times)
        level = np.where(troubled & (level <= _WARN) & (random.random(events) < _INCIDENT_ERROR_SHARE), _ERROR, level)
        latency_ms = np.where(troubled, latency_ms * _INCIDENT_SLOWDOWN, latency_ms)

        severity = np.clip(level - _INFO, 0, 2)
        values = _Values(
            latency_ms=latency_ms,
            user=random.integers(10_000, 90_000, size=events),
            status=_STATUSES[severity, random.integers(_STATUSES.shape[1], size=events)],
        )
        choice = random.integers(1 << 30, size=events) % _TEMPLATE_COUNTS[service, level]
        template = _TEMPLATE_OF[service, level, choice]
        host = service * _HOSTS_A_SERVICE + random.integers(_HOSTS_A_SERVICE, size=events)

        timestamps = pa.array(times).cast(TIMESTAMP)
        columns = [
            timestamps,
            timestamps,
            _LEVEL_NAMES.take(pa.array(level)),
            _SERVICE_NAMES.take(pa.array(service)),
            _HOST_NAMES.take(pa.array(host)),
            self._messages(template, values),
            _hex_strings(random, max(traces, 1), 16).take(pa.array(trace, mask=~traced)),
            _hex_strings(random, max(traces, 1) * len(ROUTES[0]), 8).take(
                pa.array(trace * len(ROUTES[0]) + hop, mask=~traced)
            ),
            self._attributes(template, level, host, values),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=EVENT_SCHEMA)

    def _traces(self, events: int, start_us: int, end_us: int) -> tuple[Ints, Ints, Ints]:
        """For each event, by time: its trace's number or -1, its place in the trace, its time."""
        random = self._random
        traced = int(events * _TRACED_SHARE)
        lengths = random.integers(2, _TRACE_EVENTS_MAX + 1, size=traced // 2 + 1)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        of_traced = np.repeat(np.arange(len(lengths)), lengths)[:traced]
        place = np.arange(traced) - starts[of_traced]
        began_us = random.integers(start_us, end_us, size=len(lengths))
        # The events of a trace follow each other by a few milliseconds.
        times = np.minimum(began_us[of_traced] + place * random.integers(500, 6_000, size=traced), end_us - 1)
        loose = events - traced
        all_times = np.concatenate([times, random.integers(start_us, end_us, size=loose)])
        order = np.argsort(all_times, kind="stable")
        trace = np.concatenate([of_traced, np.full(loose, -1)])
        return trace[order], np.concatenate([place, np.zeros(loose, np.int64)])[order], all_times[order]

    def _levels(self, events: int) -> Ints:
        return np.searchsorted(_LEVEL_BOUNDS, self._random.random(events), side="right").astype(np.int64)

    def _troubled(self, service: Ints, times: Ints) -> Mask:
        """Which events are of a service in an incident at that time."""
        period = times // _INCIDENT_PERIOD_US
        into = times - period * _INCIDENT_PERIOD_US
        hit = np.zeros(len(times), np.bool_)
        for number in np.unique(period):
            hit |= (period == number) & (service == incident_service(self._seed, int(number)))
        return hit & (into >= _INCIDENT_START_US) & (into < _INCIDENT_END_US)

    def _messages(self, template: Ints, values: _Values) -> pa.Array:
        order = np.argsort(template, kind="stable")
        numbers, first = np.unique(template[order], return_index=True)
        parts = []
        for number, rows in zip(numbers, np.split(order, first[1:]), strict=True):
            pieces = [
                pa.scalar(text) if text is not None else self._parameter(name, rows, values)
                for text, name in _TEMPLATE_PIECES[number]
            ]
            joined = pc.binary_join_element_wise(*pieces, "") if any(map(_is_array, pieces)) else None
            parts.append(joined if joined is not None else pa.repeat(pieces[0], len(rows)))
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        return pa.concat_arrays(parts).take(pa.array(place))

    def _parameter(self, name: str, rows: Ints, values: _Values) -> pa.Array:
        random, count = self._random, len(rows)
        match name:
            case "ms":
                return _text(values.latency_ms[rows])
            case "user":
                return _text(values.user[rows])
            case "status":
                return _text(values.status[rows])
            case "path":
                return _PATHS.take(pa.array(random.integers(len(PATHS), size=count)))
            case "id":
                return _hex_strings(random, count, 4)
            case "ip":
                return pc.binary_join_element_wise(
                    "10", *(_text(random.integers(256, size=count)) for _ in range(3)), "."
                )
            case "sku":
                return pc.binary_join_element_wise("sku", _text(random.integers(1_000, 9_999, size=count)), "-")
            case "amount":
                cents = random.integers(199, 49_999, size=count)
                return pc.binary_join_element_wise(_text(cents // 100), _text(10 + cents % 90), ".")
            case _:
                low, high = _RANGES[name]
                return _text(random.integers(low, high, size=count))

    def _attributes(self, template: Ints, level: Ints, host: Ints, values: _Values) -> pa.Array:
        failed = (level >= _ERROR) & (self._random.random(len(level)) < _STACKTRACE_SHARE)
        failure = pa.array(self._random.integers(len(FAILURES), size=int(failed.sum())))
        everywhere = np.ones(len(level), np.bool_)
        speaks = {name: _TEMPLATE_NAMES[name][template] for name in ("ms", "status", "user")}
        members: list[tuple[str, Mask, pa.Array]] = [
            ("region", everywhere, _REGION_NAMES.take(pa.array(host % len(REGIONS)))),
            ("latency_ms", speaks["ms"], _text(values.latency_ms[speaks["ms"]])),
            ("http.status_code", speaks["status"], _text(values.status[speaks["status"]])),
            ("user_id", speaks["user"], _text(values.user[speaks["user"]])),
            ("exception.type", failed, pa.array([one.kind for one in FAILURES]).take(failure)),
            ("exception.message", failed, pa.array([one.message for one in FAILURES]).take(failure)),
            ("exception.stacktrace", failed, pa.array([one.stacktrace for one in FAILURES]).take(failure)),
        ]
        return _map_array(members)


def incident_service(seed: int, period: int) -> int:
    """The number of the service that is in trouble in the period of this number since 1970."""
    return int(np.random.default_rng([seed, period]).integers(len(SERVICES)))


def ndjson_bodies(
    events: int,
    body_events: int = 5_000,
    attributes: bool = False,
    seed: int = 0,
    *,
    start_us: int = DEMO_START_US,
    events_per_s: int = 100_000,
) -> Iterator[bytes]:
    """Bodies for `POST /logs` with `events` events in all, which would have come at `events_per_s`.

    Without attributes an event is one flat object of about 175 bytes.
    """
    source = DemoEvents(seed)
    # Columns pay off from tens of thousands of rows on, so several bodies are made at once.
    step = max(_ROWS_AT_ONCE // body_events, 1) * body_events
    for first in range(0, events, step):
        count = min(step, events - first)
        begin_us, end_us = (start_us + place * 1_000_000 // events_per_s for place in (first, first + count))
        batch = source.batch(count, start_us=begin_us, end_us=max(end_us, begin_us + 1))
        lines = _lines(batch, attributes=attributes)
        for start in range(0, count, body_events):
            yield _data(lines.slice(start, body_events))


def to_ndjson(batch: pa.RecordBatch, *, attributes: bool = True) -> bytes:
    """The events as NDJSON, attributes as members beside the others. Ids that are null are left out."""
    return _data(_lines(batch, attributes=attributes))


def _lines(batch: pa.RecordBatch, *, attributes: bool) -> pa.Array:
    times = pc.replace_substring(batch["timestamp"].cast(pa.string()), " ", "T")
    pieces = ['{"timestamp":"', times, '","level":"', batch["level"], '","service":"', batch["service"]]
    pieces += ['","host":"', batch["host"], '","message":"', _escaped(batch["message"]), '"']
    pieces.append(_optional_member("trace_id", batch["trace_id"]))
    if attributes:
        pieces.append(_optional_member("span_id", batch["span_id"]))
        pieces.append(_members(batch["attributes"]))
    return pc.binary_join_element_wise(*pieces, "}\n", "")


def _optional_member(name: str, values: pa.Array) -> pa.Array:
    return pc.fill_null(pc.binary_join_element_wise(f',"{name}":"', values, '"', ""), "")


def _members(maps: pa.Array) -> pa.Array:
    """`,"key":value` for every entry, joined for each row."""
    texts = pc.binary_join_element_wise('"', _escaped(maps.items), '"', "")
    values = pc.if_else(pc.is_in(maps.keys, _NUMBERS), maps.items, texts)
    entries = pc.binary_join_element_wise(',"', maps.keys, '":', values, "")
    if not len(entries):
        return pa.repeat("", len(maps))
    # The entries of a row lie side by side in the buffer, so the row's text needs new offsets only.
    entry_offsets = np.frombuffer(entries.buffers()[1], np.int32, len(entries) + 1)
    row_offsets = entry_offsets[maps.offsets.to_numpy()]
    return pa.Array.from_buffers(pa.string(), len(maps), [None, pa.py_buffer(row_offsets), entries.buffers()[2]])


def _escaped(texts: pa.Array) -> pa.Array:
    """Quotes, backslashes, line ends and tabs, which are all that the catalogue holds."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t")):
        texts = pc.replace_substring(texts, plain, escaped)
    return texts


def _data(texts: pa.Array) -> bytes:
    """The bytes of all strings, one behind the other."""
    if not len(texts):
        return b""
    offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, texts.offset * 4)
    return bytes(memoryview(texts.buffers()[2])[offsets[0] : offsets[-1]])


def _map_array(members: list[tuple[str, Mask, pa.Array]]) -> pa.Array:
    """A map array from columns: (key, which rows have it, the values of those rows)."""
    rows = len(members[0][1])
    counts = np.zeros(rows, np.int64)
    for _, has, _ in members:
        counts += has
    offsets = np.zeros(rows + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    key = np.empty(offsets[-1], np.int8)
    value = np.empty(offsets[-1], np.int64)
    free = offsets[:-1].astype(np.int64)
    base = 0
    for number, (_, has, values) in enumerate(members):
        places = free[has]
        key[places] = number
        value[places] = np.arange(base, base + len(values))
        free += has
        base += len(values)
    keys = pa.array([name for name, _, _ in members]).take(pa.array(key))
    items = pa.concat_arrays([values for _, _, values in members]).take(pa.array(value))
    return pa.MapArray.from_arrays(pa.array(offsets), keys, items, type=ATTRIBUTES)


def _hex_strings(random: np.random.Generator, count: int, size_bytes: int) -> pa.Array:
    """`count` random strings of `2 * size_bytes` hexadecimal digits."""
    digits = _HEX[np.frombuffer(random.bytes(count * size_bytes), np.uint8)]
    offsets = np.arange(count + 1, dtype=np.int32) * (2 * size_bytes)
    return pa.Array.from_buffers(pa.string(), count, [None, pa.py_buffer(offsets), pa.py_buffer(digits)])


def _text(numbers: Ints) -> pa.Array:
    return pa.array(numbers).cast(pa.string())


def _is_array(piece: object) -> bool:
    return isinstance(piece, pa.Array)


def _pieces(text: str) -> list[tuple[str | None, str]]:
    """The template's text cut at its parameters: (text, "") or (None, name)."""
    parts = re.split(r"\{(\w+)\}", text)
    return [(part, "") if number % 2 == 0 else (None, part) for number, part in enumerate(parts) if part]


def _template_table() -> tuple[Ints, Ints]:
    """Template numbers by service, level and choice, and how many choices there are."""
    counts = np.zeros((len(SERVICES), len(LEVELS)), np.int64)
    table = np.zeros((len(SERVICES), len(LEVELS), 8), np.int64)
    for number, template in enumerate(TEMPLATES):
        place = SERVICES.index(template.service), LEVELS.index(template.level)
        table[(*place, counts[place])] = number
        counts[place] += 1
    return table, counts


_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), "<u2")
_LEVEL_BOUNDS = np.cumsum(_LEVEL_SHARES)[:-1]
_ROUTES = np.array([[SERVICES.index(name) for name in route] for route in ROUTES])
_TEMPLATE_OF, _TEMPLATE_COUNTS = _template_table()
_TEMPLATE_PIECES = [_pieces(template.text) for template in TEMPLATES]
_TEMPLATE_NAMES = {
    name: np.array([f"{{{name}}}" in template.text for template in TEMPLATES]) for name in ("ms", "status", "user")
}
_RANGES = {"order": (100_000, 999_999), "n": (1, 60), "bytes": (180, 64_000), "percent": (60, 100)}
_LEVEL_NAMES = pa.array(LEVELS)
_SERVICE_NAMES = pa.array(SERVICES)
_HOST_NAMES = pa.array([f"{service}-{number}" for service in SERVICES for number in range(_HOSTS_A_SERVICE)])
_REGION_NAMES = pa.array(REGIONS)
_PATHS = pa.array(PATHS)
