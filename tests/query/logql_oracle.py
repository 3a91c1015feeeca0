"""LogQL the slow way: one event, one step and one series at a time, in plain Python, from Loki's documentation.

It shares the parser's tree, and the templates' functions, with what it judges, and nothing else: regexes are
Python's, JSON and logfmt are read by other code, sums are taken over each window anew.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tailrace.query.logql import tree
from tailrace.query.logql.template import Row, template

Labels = tuple[tuple[str, str], ...]
Sample = dict[Labels, float]


class Refused(Exception):
    """The query has no answer."""


@dataclass(frozen=True)
class Line:
    time_ns: int
    text: str
    stream: dict[str, str]
    metadata: dict[str, str]
    parsed: dict[str, str] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    error: str = ""

    def get(self, name: str) -> str | None:
        if name == "__error__":
            return self.error or None
        for place in (self.parsed, self.metadata):
            if name in place:
                return place[name]
        return None if name in self.gone else self.stream.get(name)

    def labels(self) -> dict[str, str]:
        stream = {name: value for name, value in self.stream.items() if name not in self.gone}
        error = {"__error__": self.error} if self.error else {}
        return {**stream, **self.metadata, **self.parsed, **error}

    def extracted(self, name: str, value: str, *, replaced: bool = False) -> Line:
        if name in self.stream or name in self.metadata:
            name += "_extracted"
        return self if name in self.parsed and not replaced else self.with_parsed(name, value)

    def with_parsed(self, name: str, value: str) -> Line:
        metadata = {key: text for key, text in self.metadata.items() if key != name}
        return replace(self, parsed={**self.parsed, name: value}, metadata=metadata)

    def without(self, name: str) -> Line:
        if name == "__error__":
            return replace(self, error="")
        parsed = {key: text for key, text in self.parsed.items() if key != name}
        metadata = {key: text for key, text in self.metadata.items() if key != name}
        return replace(self, parsed=parsed, metadata=metadata, gone=self.gone | {name})

    def failed(self, error: str) -> Line:
        """A filter's failure is told only where nothing failed before."""
        return replace(self, error=self.error or error if error == "LabelFilterErr" else error)


# ---- lines


def matches(matcher: tree.Matcher, value: str | None) -> bool:
    text = value or ""
    if matcher.operator in ("=", "!="):
        return (text == matcher.value) == (matcher.operator == "=")
    return (re.fullmatch(matcher.value, text, re.DOTALL) is not None) == (matcher.operator == "=~")


def select(query: tree.LogQuery, lines: Sequence[Line]) -> list[Line]:
    """The lines of the query, changed as it says."""
    found = []
    for line in lines:
        if all(matches(matcher, line.stream.get(matcher.name)) for matcher in query.matchers):
            kept = through(query.stages, line)
            if kept is not None:
                found.append(kept)
    return found


def through(stages: Sequence[tree.Stage], line: Line) -> Line | None:
    for stage in stages:
        after = one_stage(stage, line)
        if after is None:
            return None
        line = after
    return line


def one_stage(stage: tree.Stage, line: Line) -> Line | None:
    match stage:
        case tree.LineFilter(operator, texts):
            found = any(line_has(operator, text, line.text) for text in texts)
            return line if found != operator.startswith("!") else None
        case tree.LabelFilter(condition):
            line, found = condition_holds(condition, line)
            return line if found else None
        case tree.Json(()):
            return parse_json(line)
        case tree.Json(paths):
            return parse_json_paths(line, paths)
        case tree.Logfmt():
            return parse_logfmt(line, stage)
        case tree.Pattern(pattern):
            return parse_pattern(line, pattern)
        case tree.Regexp(regex):
            match = re.search(regex, line.text)
            for name, value in (match.groupdict() if match else {}).items():
                line = line.extracted(name, value or "")
            return line
        case tree.Unpack():
            return unpack(line)
        case tree.LineFormat(text):
            return replace(line, text=render(text, line, line))
        case tree.LabelFormat(formats):
            return format_labels(formats, line)
        case tree.Drop(labels):
            for label in labels:
                if isinstance(label, str) or matches(label, line.get(label.name)):
                    line = line.without(label if isinstance(label, str) else label.name)
            return line
        case tree.Keep(labels):
            for name, value in line.labels().items():
                wanted = (
                    label == name or (isinstance(label, tree.Matcher) and label.name == name) for label in labels
                )
                fits = [label for label, same in zip(labels, wanted, strict=True) if same]
                if not any(isinstance(label, str) or matches(label, value) for label in fits) and name[:2] != "__":
                    line = line.without(name)
            return line
        case _:
            return replace(line, text=re.sub(r"\x1b\[[0-9;]*m", "", line.text))


def line_has(operator: str, text: str, line: str) -> bool:
    if operator in ("|=", "!="):
        return text in line
    if operator in ("|~", "!~"):
        return re.search(text, line) is not None
    # Captures take at least one character, and as few as the next literal lets them.
    regex = "".join(".+?" if part == "<_>" else re.escape(part) for part in re.split("(<_>)", text))
    return re.fullmatch(regex, line, re.DOTALL) is not None


def condition_holds(condition: tree.Condition, line: Line) -> tuple[Line, bool]:
    match condition:
        case tree.Matcher():
            return line, matches(condition, line.get(condition.name))
        case tree.AllOf(parts):
            found = True
            for part in parts:
                line, holds = condition_holds(part, line)
                found = found and holds
            return line, found
        case tree.AnyOf(parts):
            for part in parts:
                line, holds = condition_holds(part, line)
                if holds:
                    return line, True
            return line, False
        case tree.Comparison(name, operator, value, unit):
            text = line.get(name)
            if text is None:
                return line, False
            number = {"number": to_number, "duration": to_seconds, "bytes": to_bytes}[unit](text)
            if number is None:
                return line.failed("LabelFilterErr"), True
            return line, compare(operator, number, value)


def compare(operator: str, one: float, other: float) -> bool:
    outcomes = {
        "==": one == other,
        "!=": one != other,
        ">": one > other,
        ">=": one >= other,
        "<": one < other,
        "<=": one <= other,
    }
    return outcomes[operator]


def to_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def to_seconds(text: str) -> float | None:
    units = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
    parts = re.findall(r"([0-9.]+)(ns|us|ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * units[unit] for number, unit in parts)


def to_bytes(text: str) -> float | None:
    units = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "KIB": 1024, "MIB": 1024**2}
    match = re.fullmatch(r"([0-9.]+) ?([A-Za-z]*)", text)
    return None if match is None or match[2].upper() not in units else float(match[1]) * units[match[2].upper()]


def clean(name: str) -> str:
    name = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name.strip())
    return f"_{name}" if name[:1].isdigit() else name


def load(text: str) -> Any:
    return json.loads(
        text, parse_int=lambda digits: ("number", digits), parse_float=lambda digits: ("number", digits)
    )


def as_text(value: Any) -> str:
    if isinstance(value, tuple):
        return str(value[1])
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def parse_json(line: Line) -> Line:
    try:
        document = load(line.text)
    except ValueError:
        return line.failed("JSONParserErr")
    if not isinstance(document, dict):
        return line.failed("JSONParserErr")
    waiting = [([key], value) for key, value in document.items()]
    while waiting:
        path, value = waiting.pop(0)
        if isinstance(value, dict):
            waiting = [([*path, key], inner) for key, inner in value.items()] + waiting
        elif value is not None and not isinstance(value, list):
            line = line.extracted("_".join(clean(key) for key in path), as_text(value))
    return line


def parse_json_paths(line: Line, paths: Sequence[tuple[str, tuple[str | int, ...]]]) -> Line:
    if not line.text:
        return line
    if line.text[0] not in '{["':
        return line.failed("JSONParserErr")
    try:
        document = load(line.text)
    except ValueError:
        line, document = line.failed("JSONParserErr"), None
    for name, path in paths:
        value = document
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                break
        else:
            if isinstance(value, dict | list):
                plain = json.loads(line.text)
                for step in path:
                    plain = plain[step]
                value = json.dumps(plain, separators=(",", ":"))
            line = line.extracted(name, "" if value is None else as_text(value), replaced=True)
    for name, _ in paths:
        if line.get(name) is None:
            line = line.with_parsed(name, "")
    return line


def logfmt_pairs(text: str) -> list[tuple[str, str] | None]:
    """Key and value, or None for what is no pair."""
    found: list[tuple[str, str] | None] = []
    place = 0
    while True:
        while place < len(text) and text[place] <= " ":
            place += 1
        if place == len(text):
            return found
        start = place
        while place < len(text) and text[place] > " " and text[place] not in '="':
            place += 1
        key, value = text[start:place], ""
        sound = bool(key) and not text.startswith('"', place)
        if sound and text.startswith("=", place):
            place += 1
            if text.startswith('"', place):
                end = place + 1
                while end < len(text) and text[end] != '"':
                    end += 2 if text[end] == "\\" else 1
                if end >= len(text):
                    return [*found, None]
                value = text[place + 1 : end].replace('\\"', '"')
                place = end + 1
            else:
                start = place
                while place < len(text) and text[place] > " ":
                    sound = sound and text[place] not in '="'
                    place += 1
                value = text[start:place]
        if not sound:
            while place < len(text) and text[place] > " ":
                place += 1
        found.append((key, value) if sound else None)


def parse_logfmt(line: Line, stage: tree.Logfmt) -> Line:
    found = logfmt_pairs(line.text)
    if stage.strict and None in found:
        found = found[: found.index(None)]
        failed = True
    else:
        failed = False
    pairs = [pair for pair in found if pair is not None]
    if stage.names:
        values = dict(pairs)
        for name, key in stage.names:
            taken = name in line.stream or name in line.metadata
            if key in values or not taken:
                line = line.extracted(name, values.get(key, ""), replaced=True)
    else:
        for key, value in pairs:
            if value or stage.keep_empty:
                line = line.extracted(clean(key), value)
    return line.failed("LogfmtParserErr") if failed else line


def parse_pattern(line: Line, pattern: str) -> Line:
    parts = [part for part in re.split(r"(<\w+>)", pattern) if part]
    rest = line.text
    if not parts[0].startswith("<"):
        if not rest.startswith(parts[0]):
            return line
        rest = rest[len(parts.pop(0)) :]
    while parts and line.text:
        name = parts.pop(0)[1:-1]
        before, found, after = rest.partition(parts.pop(0)) if parts else (rest, "", "")
        if name != "_":
            line = line.extracted(name, before)
        if not found:
            break
        rest = after
    return line


def unpack(line: Line) -> Line:
    if not line.text:
        return line
    try:
        document = json.loads(line.text)
        entry = document.get("_entry")
    except (ValueError, AttributeError):
        return line.failed("JSONParserErr")
    if not isinstance(entry, str):
        return line
    for key, value in document.items():
        if isinstance(value, str) and key != "_entry":
            line = line.extracted(clean(key), value)
    return replace(line, text=entry)


def render(text: str, line: Line, labels_of: Line) -> str:
    return template(text).render(Row(labels_of.labels(), line.text, line.time_ns))


def format_labels(formats: Sequence[tree.Rename | tree.Render], line: Line) -> Line:
    seen: Line | None = None
    for each in formats:
        if isinstance(each, tree.Rename):
            value = line.get(each.name)
            if value is not None:
                line = line.with_parsed(each.to, value).without(each.name)
        else:
            seen = seen or line
            line = line.with_parsed(each.to, render(each.template, line, seen))
    return line


# ---- series


def sorted_labels(labels: dict[str, str]) -> Labels:
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def group(labels: Labels, grouping: tree.Grouping | None) -> Labels:
    if grouping is None:
        return labels
    return tuple(pair for pair in labels if (pair[0] in grouping.names) != grouping.without)


def evaluate(metric: tree.Metric, lines: Sequence[Line], time_ns: int) -> Sample | float:
    """At one moment: series with their values, or a number."""
    match metric:
        case tree.Number(value):
            return value
        case tree.Vector(value):
            return {(): value}
        case tree.RangeAggregation():
            return over_range(metric, lines, time_ns)
        case tree.VectorAggregation(operation, of, grouping):
            by_nobody = operation == "sum" and not grouping.names and not grouping.without
            if by_nobody and isinstance(of, tree.RangeAggregation) and of.unwrap is None:
                # Nobody looks at a label: what a parser cannot read is no error.
                idle = tree.Json | tree.Logfmt | tree.Pattern
                if not any(not isinstance(stage, idle | tree.LineFilter) for stage in of.query.stages):
                    stages = tuple(stage for stage in of.query.stages if not isinstance(stage, idle))
                    of = replace(of, query=replace(of.query, stages=stages))
            if operation == "sum" and "__error__" in grouping.names and isinstance(of, tree.RangeAggregation):
                return over_range(of, lines, time_ns, outer=grouping)
            inner = evaluate(of, lines, time_ns)
            assert isinstance(inner, dict)
            return aggregate(metric, inner)
        case tree.LabelReplace(of):
            inner = evaluate(of, lines, time_ns)
            assert isinstance(inner, dict)
            return relabel(metric, inner)
        case tree.Binary():
            return binary(metric, evaluate(metric.left, lines, time_ns), evaluate(metric.right, lines, time_ns))


def over_range(
    aggregation: tree.RangeAggregation, lines: Sequence[Line], time_ns: int, outer: tree.Grouping | None = None
) -> Sample:
    end = time_ns - aggregation.offset_ns
    window = [line for line in lines if end - aggregation.range_ns < line.time_ns <= end]
    samples: dict[Labels, list[tuple[int, float]]] = {}
    grouping = aggregation.grouping or outer
    for line in sorted(select(aggregation.query, window), key=lambda line: line.time_ns):
        value = float(len(line.text.encode())) if aggregation.operation.startswith("bytes") else 1.0
        kept: Line | None = line
        if aggregation.unwrap is not None:
            kept, value = unwrapped(aggregation.unwrap, line)
        if kept is None:
            continue
        if kept.error and outer is None:
            raise Refused(kept.error)
        labels = kept.labels()
        if aggregation.unwrap is not None and (grouping is None or grouping.without):
            labels.pop(aggregation.unwrap.name, None)
        samples.setdefault(group(sorted_labels(labels), grouping), []).append((line.time_ns, value))
    if aggregation.operation == "absent_over_time":
        names = [matcher.name for matcher in aggregation.query.matchers]
        sure = [m for m in aggregation.query.matchers if m.operator == "=" and m.value and names.count(m.name) == 1]
        return {} if samples else {sorted_labels({m.name: m.value for m in sure}): 1.0}
    return {labels: reduce(aggregation, [value for _, value in values]) for labels, values in samples.items()}


def unwrapped(unwrap: tree.Unwrap, line: Line) -> tuple[Line | None, float]:
    text = line.get(unwrap.name)
    if not text:
        return None, 0.0
    value = {"": to_number, "duration": to_seconds, "bytes": to_bytes}[unwrap.conversion](text)
    if value is None:
        line, value = line.failed("SampleExtractionErr"), 0.0
    for condition in unwrap.filters:
        line, holds = condition_holds(condition, line)
        if not holds:
            return None, 0.0
    return line, value


def reduce(aggregation: tree.RangeAggregation, values: list[float]) -> float:
    seconds = aggregation.range_ns / 1e9
    operation = aggregation.operation.removesuffix("_over_time")
    match operation:
        case "count":
            return float(len(values))
        case "rate" | "bytes_rate":
            return math.fsum(values) / seconds
        case "sum" | "bytes":
            return math.fsum(values)
        case "rate_counter":
            grown = math.fsum(max(b - a, 0) if b >= a else b for a, b in itertools.pairwise(values))
            return grown / seconds
        case "quantile":
            return quantile(aggregation.parameter or 0.0, sorted(values))
        case "first":
            return values[0]
        case "last":
            return values[-1]
        case _:
            return statistic(operation, values)


def quantile(q: float, values: list[float]) -> float:
    rank = q * (len(values) - 1)
    low = math.floor(rank)
    return values[low] + (values[min(low + 1, len(values) - 1)] - values[low]) * (rank - low)


def statistic(operation: str, values: list[float]) -> float:
    table: dict[str, Callable[[list[float]], float]] = {
        "avg": statistics.fmean,
        "min": min,
        "max": max,
        "stddev": statistics.pstdev,
        "stdvar": statistics.pvariance,
        "sum": math.fsum,
        "count": len,
    }
    return float(table[operation](values))


def aggregate(aggregation: tree.VectorAggregation, vector: Sample) -> Sample:
    groups: dict[Labels, list[tuple[Labels, float]]] = {}
    for labels, value in vector.items():
        groups.setdefault(group(labels, aggregation.grouping), []).append((labels, value))
    if aggregation.operation in ("topk", "bottomk"):
        chosen: Sample = {}
        for members in groups.values():
            ordered = sorted(members, key=lambda member: member[1], reverse=aggregation.operation == "topk")
            chosen.update(ordered[: aggregation.parameter])
        return chosen
    if aggregation.operation in ("sort", "sort_desc"):
        return vector
    return {
        labels: statistic(aggregation.operation, [value for _, value in members])
        for labels, members in groups.items()
    }


def relabel(replacement: tree.LabelReplace, vector: Sample) -> Sample:
    found: Sample = {}
    for labels, value in vector.items():
        match = re.fullmatch(replacement.regex, dict(labels).get(replacement.name, ""))
        if match is not None:
            text = replacement.replacement
            for number, part in enumerate(match.groups(), 1):
                text = text.replace(f"${{{number}}}", part or "").replace(f"${number}", part or "")
            labels = sorted_labels({**dict(labels), replacement.to: text})
        if labels in found:
            raise Refused("the same labels twice")
        found[labels] = value
    return found


def calculate(operator: str, one: float, other: float) -> float:
    if operator in ("==", "!=", ">", ">=", "<", "<="):
        return float(compare(operator, one, other))
    if operator in ("/", "%") and other == 0:
        return math.nan
    operations: dict[str, Callable[[], float]] = {
        "+": lambda: one + other,
        "-": lambda: one - other,
        "*": lambda: one * other,
        "/": lambda: one / other,
        "%": lambda: math.fmod(one, other),
        "^": lambda: one**other,
    }
    return operations[operator]()


def binary(node: tree.Binary, left: Sample | float, right: Sample | float) -> Sample | float:
    if isinstance(left, float) and isinstance(right, float):
        return calculate(node.operator, left, right)
    filters = node.operator in ("==", "!=", ">", ">=", "<", "<=") and not node.as_bool
    if isinstance(left, float) or isinstance(right, float):
        series = right if isinstance(right, dict) else left
        assert isinstance(series, dict)
        found: Sample = {}
        for labels, value in series.items():
            one, other = (left, value) if isinstance(left, float) else (value, right)
            assert isinstance(one, float)
            assert isinstance(other, float)
            result = calculate(node.operator, one, other)
            if not filters or result:
                found[labels] = value if filters else result
        return found
    return join(node, left, right, filters=filters)


def join(node: tree.Binary, left: Sample, right: Sample, *, filters: bool) -> Sample:
    matching = node.matching

    def signature(labels: Labels) -> Labels:
        return tuple(pair for pair in labels if (pair[0] in matching.names) == matching.on)

    if node.operator in ("and", "or", "unless"):
        ours, theirs = {signature(labels) for labels in left}, {signature(labels) for labels in right}
        if node.operator == "or":
            return {**left, **{labels: value for labels, value in right.items() if signature(labels) not in ours}}
        wanted = node.operator == "and"
        return {labels: value for labels, value in left.items() if (signature(labels) in theirs) == wanted}
    many, one = (right, left) if matching.many == "right" else (left, right)
    ones: dict[Labels, tuple[Labels, float]] = {}
    for labels, value in one.items():
        if signature(labels) in ones:
            raise Refused("many to many")
        ones[signature(labels)] = (labels, value)
    found: Sample = {}
    seen: set[Labels] = set()
    for labels, value in many.items():
        if signature(labels) not in ones:
            continue
        other_labels, other = ones[signature(labels)]
        result = dict(labels if matching.many else signature(labels))
        for name in matching.include:
            result.pop(name, None)
            result.update(pair for pair in other_labels if pair[0] == name)
        key = sorted_labels(result)
        mark = key if matching.many else signature(labels)
        if mark in seen:
            raise Refused("many to one")
        seen.add(mark)
        sides = (other, value) if matching.many == "right" else (value, other)
        outcome = calculate(node.operator, *sides)
        if not filters or outcome:
            found[key] = sides[0] if filters else outcome
    return found
