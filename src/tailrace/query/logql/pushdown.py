"""What of a LogQL query the stores can answer: a condition that every line of the answer meets, and others may.

With it the stores leave out files and row groups by their statistics and tokens. The query itself decides.

A stream's labels are columns or, for an event that came by the Loki API, in its attribute `_loki_stream`; so a label
is looked for in both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.model.batch import LEVELS
from tailrace.model.level import level_of
from tailrace.query.logql.regexes import whole
from tailrace.query.logql.tree import AllOf, AnyOf, Condition, LabelFilter, LineFilter, LogQuery, Matcher, Stage
from tailrace.query.tree import All, And, Exists, Node, Not, Or, Phrase, Regex, Wildcard

_STREAM = "attributes._loki_stream"
_COLUMNS = {"service_name": "service", "host": "host"}
_NO_SERVICE: tuple[Node, ...] = (Not(Exists("service")), Phrase("service", ""))
_PLAIN = re.compile(r"[A-Za-z0-9_./:@ -]+")
_ALTERNATIVES = re.compile(r"\(?([A-Za-z0-9_/:@ -]+(?:\|[A-Za-z0-9_/:@ -]+)*)\)?")
_SIGNS = re.compile(r"([\\*?])")


def selecting(query: LogQuery) -> Node:
    """The condition, over all matchers and those stages that see lines and labels as they are stored."""
    parts = [_labels(matcher, stream=True) for matcher in query.matchers]
    parts += [node for stage in _untouched(query.stages) for node in _stage(stage)]
    useful = tuple(part for part in parts if not isinstance(part, All))
    if not useful:
        return All()
    return useful[0] if len(useful) == 1 else And(useful)


def _untouched(stages: Sequence[Stage]) -> list[Stage]:
    """Line filters and label filters before anything else."""
    found: list[Stage] = []
    for stage in stages:
        if not isinstance(stage, LineFilter | LabelFilter):
            break
        found.append(stage)
    return found


def _stage(stage: Stage) -> list[Node]:
    if isinstance(stage, LineFilter):
        return [_line(stage)]
    assert isinstance(stage, LabelFilter)
    return [_condition(stage.condition)]


def _line(stage: LineFilter) -> Node:
    if stage.operator == "|=" and all(stage.texts):
        return _any([Wildcard("message", f"*{_SIGNS.sub(_escaped, text)}*") for text in stage.texts])
    if stage.operator == "|~" and not any("(?<" in text for text in stage.texts):
        return _any([Regex("message", text) for text in stage.texts])
    return All()


def _escaped(match: re.Match[str]) -> str:
    return f"\\{match[1]}"


def _condition(condition: Condition) -> Node:
    match condition:
        case Matcher():
            return _labels(condition, stream=False)
        case AllOf(parts):
            return And(tuple(map(_condition, parts)))
        case AnyOf(parts):
            nodes = [_condition(part) for part in parts]
            return All() if any(isinstance(node, All) for node in nodes) else _any(nodes)
        case _:
            return All()


def _labels(matcher: Matcher, *, stream: bool) -> Node:
    """`stream`: only a stream's labels count, not the metadata."""
    if matcher.name.startswith("__error"):
        # Filters give it to lines; no event is stored with it.
        return All()
    values = _values(matcher)
    if values is None:
        return _streams_like(matcher) if stream else All()
    nodes: list[Node] = []
    for value in values:
        node = _own(matcher.name, value, stream=stream)
        if node is None:
            return All()
        nodes.append(node)
    return _any(nodes)


def _values(matcher: Matcher) -> list[str] | None:
    """The few values that the matcher takes; None for any other."""
    if matcher.operator == "=" and matcher.value:
        return [matcher.value]
    alternatives = _ALTERNATIVES.fullmatch(matcher.value) if matcher.operator == "=~" else None
    return None if alternatives is None else alternatives[1].split("|")


def _own(name: str, value: str, *, stream: bool) -> Node | None:
    """Events that may have the label; None where that cannot be said."""
    if not _PLAIN.fullmatch(value):
        return None
    # Metadata may be any attribute, as several names become one label's.
    nodes: list[Node] = [Wildcard(_STREAM, f'*{name}="{value}"*') if stream else Phrase(None, value)]
    if name in _COLUMNS:
        nodes.append(Phrase(_COLUMNS[name], value))
    if name == "service_name" and value == "unknown_service":
        nodes += _NO_SERVICE
    if name == "level" or (name == "detected_level" and not stream):
        nodes += _level(value)
    return _any(nodes)


def _level(value: str) -> list[Node]:
    level = level_of(value)
    if value == "unknown":
        return [Not(Exists("level"))]
    return [] if level is None or level.lower() != value else [Phrase("level", level)]


def _streams_like(matcher: Matcher) -> Node:
    """A regex or a negation over a stream's labels: decided for what has a column, left open for the others."""
    wanted = matcher.operator == "=~"
    others = Exists(_STREAM)
    if matcher.operator not in ("=~", "!~") or not wanted or _matches(matcher.value, ""):
        return All()
    if matcher.name == "level":
        levels = [level for level in LEVELS if _matches(matcher.value, level.lower())]
        return _any([*(Phrase("level", level) for level in levels), others])
    if matcher.name in _COLUMNS and "(?<" not in matcher.value:
        found: list[Node] = [Regex(_COLUMNS[matcher.name], whole(matcher.value)), others]
        if matcher.name == "service_name" and _matches(matcher.value, "unknown_service"):
            found += _NO_SERVICE
        return _any(found)
    return All() if matcher.name in ("level", *_COLUMNS) else others


def _matches(regex: str, text: str) -> bool:
    found: bool = pc.match_substring_regex(pa.scalar(text), pattern=whole(regex)).as_py()
    return found


def _any(nodes: Sequence[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))
