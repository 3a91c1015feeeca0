"""The layout of a file's lines: where the time stands and where the level, learnt from a sample of them.

A layout is turned into one pattern for RE2, which then reads whole chunks of lines at once. Learning walks over
the words of each sample line in Python; its words are those of `levels.TOKEN`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tailrace.ingest.text.levels import (
    AFTER_STAMP,
    COLUMN_CLOSING,
    COLUMN_OPENING,
    LEVEL_LETTERS,
    SURE_WORDS,
    TOKEN,
)
from tailrace.ingest.text.timestamps import KINDS, TIME_ONLY, Kind, without_groups

_LEAD = "^\ufeff?(?:<\\d{1,3}>)?"
_OPENING = r"[\[(\"'<{=#*@]*"

# How deep in a line its time may stand: behind an id, a host, a component and a state, and a little more.
_WORDS_BEFORE_MAX = 6
_LEVEL_WORDS_AFTER_MAX = 9

# A time behind other words may be one that the line talks of; it must be the custom of the file.
_CUSTOM_SHARE_MIN = 1 / 3

# Of lines like "upload of x failed: ERROR 5", a few may well be alike.
_LINES_BEHIND_PROSE_MIN = 5

_COMPILED_PROSE = re.compile(r"[a-z']+\W*")
_COMPILED_LEAD = re.compile(_LEAD + r"(\s*)", re.ASCII)
_COMPILED_OPENING = re.compile(_OPENING)
_COMPILED_TOKEN = re.compile(TOKEN, re.ASCII)
_COMPILED_AFTER = re.compile(AFTER_STAMP, re.ASCII)
_COMPILED_COLUMN = re.compile(rf"({COLUMN_OPENING})([A-Za-z]{{1,13}}[1-5]?)({COLUMN_CLOSING})", re.ASCII)


@dataclass(frozen=True, slots=True)
class LevelColumn:
    """`index` counts words: from the line's beginning when `before` the time, else from the end of the time."""

    before: bool
    index: int
    letters: str


@dataclass(frozen=True, slots=True)
class Layout:
    """The time is of `kind` behind `words_before` words; `indented` lines begin with white space."""

    kind: Kind
    words_before: int
    indented: bool
    level: LevelColumn | None = None

    @property
    def place(self) -> tuple[Kind, int, bool]:
        """The layout but for its levels."""
        return self.kind, self.words_before, self.indented

    @property
    def rank(self) -> tuple[int, int]:
        """What is to be tried first on a line: the time nearest to its beginning, written in the longest way."""
        return self.words_before, KINDS.index(self.kind)

    @property
    def lead(self) -> str:
        return _LEAD + (r"\s+" if self.indented else "")

    @property
    def stamp_pattern(self) -> str:
        """Reads the parts of the time."""
        return f"{self.lead}{TOKEN}{{{self.words_before}}}{_OPENING}{self.kind.pattern}{self.kind.end}"

    @property
    def head_pattern(self) -> str:
        """Passes over everything up to the end of the time."""
        stamp = without_groups(self.kind.pattern)
        return f"{self.lead}{TOKEN}{{{self.words_before}}}{_OPENING}{stamp}"

    @property
    def level_pattern(self) -> str:
        """Reads the word in the level's column."""
        assert self.level is not None
        word = f"{COLUMN_OPENING}(?P<level>{self.level.letters}){COLUMN_CLOSING}"
        words = f"{TOKEN}{{{self.level.index}}}"
        return f"{self.lead}{words}{word}" if self.level.before else f"{self.head_pattern}{AFTER_STAMP}{words}{word}"


def learn_layouts(sample: Sequence[str], *, words_before_max: int = _WORDS_BEFORE_MAX) -> list[Layout]:
    """The layouts that occur in the sample, the most frequent first, each with its column of levels if it has one."""
    found = [_find(line, words_before_max) for line in sample]
    counts = Counter(layout for layout, _ in found if layout is not None)
    dated = any(layout.kind is not TIME_ONLY for layout in counts)
    layouts = []
    for layout, count in counts.most_common():
        custom = count >= len(sample) * _CUSTOM_SHARE_MIN
        if (layout.words_before or layout.indented or (layout.kind is TIME_ONLY and dated)) and not custom:
            continue
        lines = [(line, end) for line, (its, end) in zip(sample, found, strict=True) if its == layout]
        layouts.append(replace(layout, level=_learn_level(layout, lines)))
    return layouts


def _find(line: str, words_before_max: int) -> tuple[Layout | None, int]:
    lead = _COMPILED_LEAD.match(line)
    position = lead.end() if lead else 0
    indented = bool(lead and lead.group(1))
    for words_before in range(words_before_max + 1):
        opening = _COMPILED_OPENING.match(line, position)
        at = opening.end() if opening else position
        for kind in KINDS:
            if kind is TIME_ONLY and words_before:
                continue
            match = kind.compiled.match(line, at)
            if match:
                return Layout(kind, words_before, indented), match.end()
        token = _COMPILED_TOKEN.match(line, position)
        if token is None:
            break
        position = token.end()
    return None, 0


def _learn_level(layout: Layout, lines: Sequence[tuple[str, int]]) -> LevelColumn | None:
    """The column in which most lines have a level.

    Capitals are a strong sign, a column of anything else must be first behind the time, or marked by brackets or a
    colon, or hold nothing but levels. Single letters must be levels nearly throughout. Behind plain words, as
    prose has them, only capitals count, and not in a few lines.
    """
    words: dict[tuple[bool, int], list[tuple[str, bool]]] = {}
    for line, end in lines:
        for column, word, marked, behind_prose in _level_words(line, end, layout):
            if not behind_prose or (word.isupper() and len(lines) >= _LINES_BEHIND_PROSE_MIN):
                words.setdefault(column, []).append((word, marked))
    best: tuple[float, LevelColumn] | None = None
    for (before, index), seen in sorted(words.items()):
        sure = [(word, marked) for word, marked in seen if word.upper() in SURE_WORDS]
        letters = [word for word, _ in seen if word in LEVEL_LETTERS]
        if len(letters) >= 0.9 * len(lines):
            share, pattern = len(letters) / len(lines), "[A-Z]"
        else:
            share = len(sure) / len(lines)
            upper = all(word.isupper() for word, _ in sure)
            distinct = before or index == 0 or all(marked for _, marked in sure)
            needed = 0.3 if upper else 0.5 if distinct else 0.9
            if not sure or share < needed:
                continue
            pattern = "[A-Z]{2,13}[1-5]?" if upper else "[A-Za-z]{2,13}[1-5]?"
        if best is None or share > best[0]:
            best = share, LevelColumn(before, index, pattern)
    return best[1] if best else None


def _level_words(line: str, end: int, layout: Layout) -> list[tuple[tuple[bool, int], str, bool, bool]]:
    found = []
    lead = _COMPILED_LEAD.match(line)
    places = [(True, lead.end() if lead else 0, layout.words_before)]
    after = _COMPILED_AFTER.match(line, end)
    places.append((False, after.end() if after else end, _LEVEL_WORDS_AFTER_MAX))
    for before, start, count in places:
        position, behind_prose, behind_stream = start, False, False
        for index in range(count):
            match = _COMPILED_COLUMN.match(line, position)
            if match and not behind_stream:
                opening, word, closing = match.groups()
                marked = opening.strip() != "" or closing.strip(" \t|;,") != ""
                found.append(((before, index), word, marked, behind_prose))
            token = _COMPILED_TOKEN.match(line, position)
            if token is None:
                break
            # Container runtimes write `stdout F`, for a full line.
            behind_stream = token.group().startswith(("stdout ", "stderr "))
            behind_prose |= _COMPILED_PROSE.fullmatch(token.group()) is not None and not behind_stream
            position = token.end()
    return found
