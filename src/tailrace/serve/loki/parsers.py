"""The stages that find labels in lines.

A name that an earlier parser found stays as it is, but for stages that name what they look for. JSON and logfmt are
read line by line in Python; patterns too. Regexes run as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.errors import QueryError
from tailrace.query.logql.line_pattern import captured, line_pattern
from tailrace.query.logql.regexes import captures
from tailrace.query.logql.tree import Json, Logfmt, Pattern, Regexp, Unpack
from tailrace.serve.loki.events import label_name
from tailrace.serve.loki.frame import EXTRACTED, Frame, Mask, present, sparse_column, text_column, without
from tailrace.serve.loki.json_lines import NoJson, object_fields, packed_fields, path_values
from tailrace.serve.loki.logfmt_lines import NoLogfmt, pairs
from tailrace.serve.loki.series import NAMES_MAX

Parser = Json | Logfmt | Pattern | Regexp | Unpack

_Found = tuple[Sequence[str], pa.StringArray]


def parsed(frame: Frame, stage: Parser, needed: frozenset[str] | None) -> Frame:
    """The frame with what the stage finds; `needed` are the only names that anybody looks at, None: all are.

    Raises `QueryError` when the lines have too many different names.
    """
    match stage:
        case Json(()):
            return _scanned(frame, object_fields, "JSONParserErr", needed)
        case Json(paths):
            return _json_paths(frame, paths)
        case Logfmt(()):
            return _scanned(frame, partial(_logfmt_fields, stage=stage), "LogfmtParserErr", needed)
        case Logfmt():
            return _logfmt_names(frame, stage)
        case Pattern(text):
            pattern = line_pattern(text, names=True)
            return _scanned(frame, lambda line: captured(pattern, line), "", needed)
        case Regexp(regex):
            return _regex(frame, regex, needed)
        case Unpack():
            return _unpacked(frame, needed)


class _Gathered:
    """Values by name and row."""

    def __init__(self, needed: frozenset[str] | None) -> None:
        self._needed = needed
        self._columns: dict[str, tuple[list[int], list[str]]] = {}

    def add(self, row: int, fields: Iterable[tuple[str, str]]) -> None:
        """The first value of a name counts."""
        for name, value in fields:
            if self._needed is not None and name not in self._needed and f"{name}{EXTRACTED}" not in self._needed:
                continue
            column = self._columns.get(name)
            if column is None:
                if len(self._columns) >= NAMES_MAX:
                    raise QueryError(
                        f"the lines have more than {NAMES_MAX} different fields; name those you need, as in "
                        '| json status="response.status", or group by them'
                    )
                self._columns[name] = ([row], [value])
            elif column[0][-1] != row:
                column[0].append(row)
                column[1].append(value)

    def into(self, frame: Frame) -> Frame:
        for name, (rows, values) in self._columns.items():
            frame = _named(frame, name, sparse_column(rows, values, len(frame)))
        return frame


def _named(frame: Frame, name: str, values: pa.StringArray, *, replace: bool = False) -> Frame:
    """Set a parsed label, under another name where it is taken."""
    taken = frame.is_taken(name) & present(values)
    if taken.any():
        frame = _set(frame, f"{name}{EXTRACTED}", without(values, ~taken), replace=replace)
        values = without(values, taken)
    return _set(frame, name, values, replace=replace)


def _set(frame: Frame, name: str, values: pa.StringArray, *, replace: bool) -> Frame:
    if not replace and name in frame.parsed:
        values = without(values, present(frame.parsed[name]))
    return frame.with_parsed(name, values)


def _failed(frame: Frame, rows: Sequence[int], kind: str, details: str) -> Frame:
    if not rows:
        return frame
    mask: Mask = np.zeros(len(frame), bool)
    mask[rows] = True
    return frame.with_errors(kind, mask, details)


def _scanned(
    frame: Frame, scan: Callable[[str], Iterable[tuple[str, str]]], error: str, needed: frozenset[str] | None
) -> Frame:
    gathered = _Gathered(needed)
    failed: list[int] = []
    details = ""
    for row, line in enumerate(frame.lines.to_pylist()):
        try:
            gathered.add(row, scan(line))
        except (NoJson, NoLogfmt) as reason:
            failed.append(row)
            details = str(reason)
    return _failed(gathered.into(frame), failed, error, details)


def _logfmt_fields(line: str, *, stage: Logfmt) -> Iterable[tuple[str, str]]:
    for key, value in pairs(line, strict=stage.strict):
        name = label_name(key)
        if name and (value or stage.keep_empty):
            yield name, value


def _logfmt_names(frame: Frame, stage: Logfmt) -> Frame:
    """Each label of the stage, empty where the line has no such key; of a key that comes twice the last counts."""
    wanted = {key: name for name, key in stage.names}
    columns: dict[str, list[str | None]] = {name: [""] * len(frame) for name, _ in stage.names}
    found: dict[str, Mask] = {name: np.zeros(len(frame), bool) for name in columns}
    failed: list[int] = []
    for row, line in enumerate(frame.lines.to_pylist()):
        try:
            for key, value in pairs(line, strict=stage.strict):
                name = wanted.get(label_name(key))
                if name is not None:
                    columns[name][row] = value
                    found[name][row] = True
        except NoLogfmt:
            failed.append(row)
    for name, values in columns.items():
        column = text_column(values)
        frame = _named(frame, name, without(column, frame.is_taken(name) & ~found[name]), replace=True)
    return _failed(frame, failed, "LogfmtParserErr", "the line has something that is no pair")


def _json_paths(frame: Frame, paths: tuple[tuple[str, tuple[str | int, ...]], ...]) -> Frame:
    """Each label of the stage, empty where the line has nothing at its path."""
    columns: list[list[str | None]] = [[None] * len(frame) for _ in paths]
    failed: list[int] = []
    for row, line in enumerate(frame.lines.to_pylist()):
        if not line:
            continue
        try:
            values = path_values(line, [path for _, path in paths])
        except NoJson:
            failed.append(row)
            continue
        for column, value in zip(columns, values, strict=True):
            column[row] = value
    # What begins like JSON was meant to be it: its labels are there, and empty.
    read = pc.match_substring_regex(frame.lines, pattern=r'^["{\[]').to_numpy(zero_copy_only=False)
    for (name, _), values in zip(paths, columns, strict=True):
        frame = _named(frame, name, text_column(values), replace=True)
    for name, _ in paths:
        empty = without(pa.array([""] * len(frame), pa.string()), ~read | present(frame.get(name)))
        frame = frame.with_parsed(name, empty)
    return _failed(frame, failed, "JSONParserErr", "the line is not JSON")


def _regex(frame: Frame, regex: str, needed: frozenset[str] | None) -> Frame:
    pattern, names = captures(regex)
    found = pc.extract_regex(frame.lines, pattern=pattern)
    there = present(found)
    for number, name in enumerate(names):
        if needed is None or name in needed or f"{name}{EXTRACTED}" in needed:
            frame = _named(frame, name, without(found.field(number), ~there))
    return frame


def _unpacked(frame: Frame, needed: frozenset[str] | None) -> Frame:
    gathered = _Gathered(needed)
    failed: list[int] = []
    entries: list[str | None] = [None] * len(frame)
    for row, line in enumerate(frame.lines.to_pylist()):
        if not line:
            continue
        try:
            fields, entries[row] = packed_fields(line)
        except NoJson:
            failed.append(row)
            continue
        gathered.add(row, fields)
    frame = _failed(gathered.into(frame), failed, "JSONParserErr", "expecting json object, but it is not")
    return frame.with_lines(pc.coalesce(text_column(entries), frame.lines))
