"""Events as the hits of a search: the document, what it is sorted by, the fields and the highlights asked for."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pyarrow as pa

from tailrace.errors import QueryError
from tailrace.query.from_elasticsearch import field_of
from tailrace.query.leaves import Sign, wildcard_parts
from tailrace.query.tokens import tokens
from tailrace.query.tree import And, Node, Or, Phrase, Wildcard
from tailrace.serve.elasticsearch.date_buckets import iso_ms
from tailrace.store.port import Cursor, Order

INDEX = "tailrace"
"""The name of all events, and the index of those that came with none."""

ROWS_MAX = 10_000
"""Elasticsearch's `index.max_result_window`."""

_MARKED_MAX = 100
"""So many different words of a query are marked."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_COLUMNS = ("level", "service", "host", "message", "trace_id", "span_id")
_TOKEN = "0-9A-Za-z_\u0080-\U0010ffff"
_PLACE = re.compile(r"(-?\d{1,19})-(\d{1,10})-(\d{1,19})-(\d{1,10})")
_TIME_FIELDS = ("timestamp", "observed_timestamp")


@dataclass(frozen=True, slots=True)
class Sorting:
    """By time, and by nothing else; `keys` are the members of `sort` in an answer, `time` or `place`."""

    order: Order
    keys: Sequence[str]


def sorting_of(asked: object) -> Sorting:
    """Raises `QueryError` for an order that is not one of time."""
    keys: list[str] = []
    order: Order | None = None
    for name, options in _sort_keys(asked):
        direction = options.get("order", "asc") if isinstance(options, dict) else (options or "asc")
        if name == "_score":
            continue
        if name in ("_doc", "_shard_doc") or (name == "_id" and "time" in keys):
            keys.append("place")
        elif isinstance(name, str) and field_of(name) == "timestamp":
            if direction not in ("asc", "desc"):
                raise QueryError(f"sort: the order of {name!r} is asc or desc")
            order = order or ("asc" if direction == "asc" else "desc")
            keys.append("time")
        else:
            raise QueryError(f"sort on {name!r} is not supported; events are sorted by @timestamp")
    return Sorting(order or "desc", keys)


def _sort_keys(asked: object) -> Iterator[tuple[object, object]]:
    """Names and what is said of them: of an object, as Grafana sends one, or of a list of objects and names."""
    for each in asked if isinstance(asked, list) else [] if asked is None else [asked]:
        yield from each.items() if isinstance(each, dict) else [(each, None)]


def cursor_after(values: object, sorting: Sorting) -> Cursor | None:
    """The place that `search_after` names. With a time alone it is behind all events of that millisecond."""
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != len(sorting.keys) or not values:
        raise QueryError("search_after has to have one value for each of sort")
    for key, value in zip(sorting.keys, values, strict=True):
        if key == "place" and (place := _PLACE.fullmatch(str(value))):
            return Cursor(*map(int, place.groups()))
    time = next((value for key, value in zip(sorting.keys, values, strict=True) if key == "time"), None)
    if not isinstance(time, int) or isinstance(time, bool):
        raise QueryError("search_after: give the values of `sort` of the last hit")
    if sorting.order == "asc":
        return Cursor(time * 1000 + 999, (1 << 31) - 1, (1 << 63) - 1, (1 << 31) - 1)
    return Cursor(time * 1000, -1, -1, -1)


def hits_of(rows: pa.Table, asked: Mapping[str, Any], sorting: Sorting, where: Node) -> list[dict[str, Any]]:
    """One for each row of STORED_SCHEMA. Raises `QueryError` for options that cannot be."""
    wanted = _source_filter(asked.get("_source", True))
    fields = [*_field_names(asked.get("fields", [])), *_field_names(asked.get("docvalue_fields", []))]
    marks = _highlights(asked.get("highlight"), where)
    return [_hit(row, sorting, wanted, fields, marks) for row in _rows(rows)]


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    # As integers: Python's datetime ends in the year 9999.
    plain = table
    for name in _TIME_FIELDS:
        plain = plain.set_column(plain.schema.get_field_index(name), name, plain[name].cast(pa.int64()))
    yield from plain.to_pylist()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Patterns of names; `include` empty: all."""

    whole: bool
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not all(isinstance(name, str) for name in (*self.include, *self.exclude)):
            raise QueryError("the names in _source have to be texts")

    def pick(self, document: dict[str, Any]) -> dict[str, Any]:
        def is_wanted(name: str) -> bool:
            included = not self.include or any(_covers(pattern, name) for pattern in self.include)
            return included and not any(_covers(pattern, name) for pattern in self.exclude)

        return {name: value for name, value in document.items() if is_wanted(name)}


def _covers(pattern: str, name: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) or name.startswith(pattern + ".")


def _source_filter(asked: object) -> _Wanted:
    if isinstance(asked, bool):
        return _Wanted(asked)
    if isinstance(asked, str):
        return _Wanted(True, [asked])
    if isinstance(asked, list):
        return _Wanted(True, asked)
    if isinstance(asked, dict):
        include = asked.get("includes", asked.get("include", []))
        exclude = asked.get("excludes", asked.get("exclude", []))
        if isinstance(include, str | list) and isinstance(exclude, str | list):
            return _Wanted(True, *([each] if isinstance(each, str) else each for each in (include, exclude)))
    raise QueryError("_source has to be a boolean, a name, a list of names, or includes and excludes")


def _field_names(asked: object) -> Iterator[str]:
    for each in asked if isinstance(asked, list) else []:
        name = each.get("field") if isinstance(each, dict) else each
        if isinstance(name, str):
            yield name


def document_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What `_source` holds: our fields by their names, attributes by theirs, dotted."""
    document: dict[str, Any] = {"@timestamp": _iso_us(row["timestamp"])}
    document |= {name: row[name] for name in _COLUMNS if row[name] is not None}
    for name, value in row["attributes"]:
        if name not in ("_id", "_index"):
            document.setdefault(name, value)
    return document


def _hit(
    row: Mapping[str, Any],
    sorting: Sorting,
    wanted: _Wanted,
    fields: Sequence[str],
    marks: Mapping[str, Highlight],
) -> dict[str, Any]:
    attributes = dict(row["attributes"])
    place = f"{row['log_partition']}-{row['log_offset']}-{row['log_row']}"
    hit: dict[str, Any] = {
        "_index": attributes.get("_index", INDEX),
        "_id": attributes.get("_id", place),
        "_score": None,
    }
    document = document_of(row)
    if wanted.whole:
        hit["_source"] = wanted.pick(document)
    if fields:
        found = {
            name: [value]
            for pattern in fields
            for name, value in ({**document, "@timestamp": iso_ms(row["timestamp"])}).items()
            if _covers(pattern.removesuffix(".keyword"), name)
        }
        hit["fields"] = found
    if sorting.keys:
        values = {"time": row["timestamp"] // 1000, "place": f"{row['timestamp']}-{place}"}
        hit["sort"] = [values[key] for key in sorting.keys]
    highlighted = {
        name: [marked] for name, mark in marks.items() if (marked := mark.of(str(document.get(name, "")))) is not None
    }
    if highlighted:
        hit["highlight"] = highlighted
    return hit


@dataclass(frozen=True, slots=True)
class Highlight:
    """`pattern` finds what is put between the tags."""

    pattern: re.Pattern[str]
    before: str
    after: str

    def of(self, text: str) -> str | None:
        """The text with its marks; None where there are none."""
        marked, count = self.pattern.subn(lambda found: f"{self.before}{found[0]}{self.after}", text)
        return marked if count else None


def _highlights(asked: object, where: Node) -> dict[str, Highlight]:
    if not isinstance(asked, dict) or not isinstance(asked.get("fields"), dict | list):
        return {}
    fields = asked["fields"]
    names = [name for each in ([fields] if isinstance(fields, dict) else fields) for name in _names_of(each)]
    patterns = list(islice(dict.fromkeys(_patterns(where)), _MARKED_MAX))
    if not patterns:
        return {}
    before, after = _tag(asked.get("pre_tags"), "<em>"), _tag(asked.get("post_tags"), "</em>")
    whole = f"(?<![{_TOKEN}])(?:{'|'.join(patterns)})(?![{_TOKEN}])"
    highlight = Highlight(re.compile(whole, re.IGNORECASE | re.ASCII), before, after)
    texts = ["message"] if any(name in ("*", "message", "msg") for name in names) else []
    return dict.fromkeys([*texts, *(name for name in names if name not in ("*", "message", "msg"))], highlight)


def _names_of(fields: object) -> list[str]:
    return list(fields) if isinstance(fields, dict) else [str(fields)]


def _tag(asked: object, default: str) -> str:
    tags = asked if isinstance(asked, list) else [asked]
    return default if not tags or tags[0] is None else str(tags[0])


def _patterns(node: Node) -> Iterator[str]:
    """Of the words that a query finds in texts; what it must not have is none of them."""
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _patterns(part)
        case Phrase(None | "message", text):
            words = tokens(text)
            if words:
                yield f"[^{_TOKEN}]+".join(map(re.escape, words))
        case Wildcard(None | "message", pattern):
            yield _wildcard_pattern(pattern)


def _wildcard_pattern(pattern: str) -> str:
    """What stands between two runs is taken where it comes first, for good: trying all places for each of many runs
    would take for ever."""
    pieces = [""]
    for part in wildcard_parts(pattern):
        if part is Sign.RUN:
            pieces.append("")
        else:
            pieces[-1] += f"[{_TOKEN}]" if isinstance(part, Sign) else re.escape(part)
    first, *others = pieces
    if not others:
        return first
    last = others.pop()
    return first + "".join(f"(?>[{_TOKEN}]*?{piece})" for piece in others if piece) + f"[{_TOKEN}]*{last}"


def _iso_us(time_us: int) -> str:
    try:
        return (_EPOCH + timedelta(microseconds=time_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
    except OverflowError:
        return str(time_us // 1000)
