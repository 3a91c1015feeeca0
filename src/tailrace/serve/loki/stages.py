"""The stages of a pipeline, each from frame to frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.errors import QueryError
from tailrace.query.logql.line_pattern import fits, line_pattern
from tailrace.query.logql.template import Row, Template, template
from tailrace.query.logql.tree import (
    Decolorize,
    Drop,
    Keep,
    LabelFilter,
    LabelFormat,
    LineFilter,
    LineFormat,
    Matcher,
    Rename,
    Stage,
)
from tailrace.serve.loki.frame import ERROR, ERROR_DETAILS, Frame, Mask, present, text_column, without
from tailrace.serve.loki.labels_match import holds, matched
from tailrace.serve.loki.parsers import parsed

_COLOURS = r"\x1b\[[0-9:;<=>?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|\x{9b}[0-9;?]*[@-~]"
"""Escape sequences of ECMA-48, as terminals understand them."""


_RENDERED_CHARACTERS_MAX = 64 << 20
"""What templates may make of one part of the lines: a short one can repeat a text a million times."""


def staged(frame: Frame, stages: tuple[Stage, ...], needed: frozenset[str] | None = None) -> Frame:
    """The lines that are left, with their labels; `needed`: the only labels that anybody looks at, None: all are."""
    for stage in stages:
        if not len(frame):
            return frame
        frame = _one(frame, stage, needed)
    return frame


def _one(frame: Frame, stage: Stage, needed: frozenset[str] | None) -> Frame:
    match stage:
        case LineFilter():
            return frame.filtered(line_mask(frame.lines, stage))
        case LabelFilter(condition):
            frame, mask = holds(frame, condition, np.ones(len(frame), bool))
            return frame.filtered(mask)
        case LineFormat(text):
            return _line_format(frame, template(text))
        case LabelFormat():
            return _label_format(frame, stage)
        case Drop(labels):
            return reduce(_dropped, labels, frame)
        case Keep(labels):
            return _kept(frame, labels)
        case Decolorize():
            return frame.with_lines(pc.replace_substring_regex(frame.lines, pattern=_COLOURS, replacement=""))
        case _:
            return parsed(frame, stage, needed)


def line_mask(lines: pa.StringArray, stage: LineFilter) -> Mask:
    """Which lines a filter lets through."""
    # An empty text, or regex, is in every line: so are its filters, whichever way they ask.
    found = np.zeros(len(lines), bool)
    for text in stage.texts:
        found |= _has(lines, stage.operator, text)
    return ~found if stage.operator.startswith("!") else found


def _has(lines: pa.StringArray, operator: str, text: str) -> Mask:
    if operator in ("|>", "!>"):
        pattern = line_pattern(text, names=False)
        return np.fromiter((fits(pattern, line) for line in lines.to_pylist()), bool, len(lines))
    if operator in ("|~", "!~"):
        found = pc.match_substring_regex(lines, pattern=text)
    else:
        found = pc.match_substring(lines, pattern=text)
    mask: Mask = found.to_numpy(zero_copy_only=False)
    return mask


def _rows(frame: Frame, names: frozenset[str]) -> Callable[[int], Row]:
    columns = {name: frame.get(name).to_pylist() for name in names}
    lines = frame.lines.to_pylist()

    def row(number: int) -> Row:
        labels = {name: values[number] for name, values in columns.items() if values[number] is not None}
        return Row(labels, lines[number], int(frame.time_us[number]) * 1000)

    return row


def _rendered(frame: Frame, made: Template) -> tuple[list[str | None], Mask, str]:
    row = _rows(frame, made.labels)
    failed: Mask = np.zeros(len(frame), bool)
    texts: list[str | None] = []
    details = ""
    characters = 0
    for number in range(len(frame)):
        try:
            text = made.render(row(number))
            characters += len(text)
            texts.append(text)
        except ValueError as error:
            texts.append(None)
            failed[number] = True
            details = str(error)
        if characters > _RENDERED_CHARACTERS_MAX:
            raise QueryError(f"the template makes more than {_RENDERED_CHARACTERS_MAX:,} characters of few lines")
    return texts, failed, details


def _line_format(frame: Frame, made: Template) -> Frame:
    texts, failed, details = _rendered(frame, made)
    lines = pc.coalesce(text_column(texts), frame.lines)
    return frame.with_lines(lines).with_errors("TemplateFormatErr", failed, details)


def _label_format(frame: Frame, stage: LabelFormat) -> Frame:
    """Templates see the labels as they were before the first of them."""
    seen: Frame | None = None
    for each in stage.formats:
        if isinstance(each, Rename):
            values = frame.get(each.name)
            frame = frame.with_parsed(each.to, values).without_label(each.name, present(values))
            continue
        seen = seen or frame
        texts, failed, details = _rendered(seen, template(each.template))
        frame = frame.with_parsed(each.to, text_column(texts)).with_errors("TemplateFormatErr", failed, details)
    return frame


def _dropped(frame: Frame, label: str | Matcher) -> Frame:
    name = label if isinstance(label, str) else label.name
    column = frame.get(name)
    mask = np.ones(len(frame), bool) if isinstance(label, str) else matched(column, label)
    if name not in (ERROR, ERROR_DETAILS):
        return frame.without_label(name, mask)
    errors = without(frame.errors, mask) if name == ERROR else frame.errors
    details = without(frame.error_details, mask) if name == ERROR_DETAILS else frame.error_details
    return Frame(frame.time_us, frame.lines, frame.base, frame.streams, frame.metadata, frame.parsed, errors, details)


def _kept(frame: Frame, labels: tuple[str | Matcher, ...]) -> Frame:
    names = frozenset(label if isinstance(label, str) else label.name for label in labels)
    frame = replace(
        frame,
        streams={name: column for name, column in frame.streams.items() if name in names},
        metadata=frame.metadata.only(names),
        parsed={name: column for name, column in frame.parsed.items() if name in names},
    )
    for name in names - {label for label in labels if isinstance(label, str)}:
        column = frame.get(name)
        keep = np.zeros(len(frame), bool)
        for label in labels:
            if isinstance(label, Matcher) and label.name == name:
                keep |= matched(column, label)
        frame = frame.without_label(name, ~keep)
    return frame
