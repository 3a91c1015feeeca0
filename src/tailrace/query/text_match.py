"""How DuckDB finds phrases, wildcards and values in a text, exactly and fast.

Exact: only the case of ASCII letters is folded, so neither ILIKE nor `lower` nor `(?i)`, which fold all of Unicode,
may decide; letters become classes such as `[kK]` of a regex. Fast: the regex runs only on rows that pass a cheaper
test which every match passes too. Measured on 2 M messages of 50 bytes, 2 threads: `contains` 10 ms, ILIKE 95 ms, a
regex 255 ms.

A `Finder` gives, for the SQL name of a text that is not null, the condition that the text matches.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tailrace.query.leaves import Sign, ascii_lower, check_regex, check_text, wildcard_parts
from tailrace.query.predicate import TRUE, Atom, Predicate, every, some
from tailrace.query.tokens import TOKEN, tokens

Finder = Callable[[str], Predicate]

_BREAK = r"[\x00-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]"
"""RE2: one character that is in no token; all of them are ASCII."""
_TOKEN_CHARACTER = r"[0-9A-Za-z_\x{80}-\x{10ffff}]"
_START = rf"(?:\A|{_BREAK})"
_END = rf"(?:\z|{_BREAK})"

_CASELESS_RUN = re.compile("[^A-Za-z]+")
_CASELESS_RUN_MIN = 3
"""A shorter run of characters without case is found in too many texts to be worth a test of its own."""

_RARE_LETTERS = "qjzxkvwybpgmuflhnirstoacde"
"""ASCII letters, the rarest in log lines first; the hexadecimal digits, of which ids are made, last."""
_RARE_LETTERS_WORTH = "qjzxkvw"
"""Those missing from most lines, so that looking for them pays."""

ID_COLUMNS = frozenset({"trace_id", "span_id"})

_EQUAL_COST, _CONTAINS_COST, _ILIKE_COST = 2, 10, 90
REGEX_COST = 250
"""Of an `Atom` that is one regex."""


def text_literal(text: str) -> str:
    """`text` as a SQL expression. Raises `QueryError` when it is not Unicode text."""
    check_text(text)
    if "\0" in text:
        # The end of a string in C must not become the end of the SQL: NUL stands there as a character of its own.
        stand_in = next(character for character in map(chr, range(0x80, 0xD800)) if character not in text)
        return f"replace({text_literal(text.replace(chr(0), stand_in))}, '{stand_in}', chr(0))"
    quoted = text.replace("'", "''")
    return f"'{quoted}'"


def phrase_in_text(text: str) -> Finder:
    """The tokens of `text` follow each other; without tokens, `text` is a part."""
    words = tokens(text)
    if not words:
        return lambda column: _contains(column, text)
    regex = f"{_START}{f'{_BREAK}+'.join(_folded(word) for word in words)}{_END}"
    longest = sorted(dict.fromkeys(words), key=len)[-2:]

    def find(column: str) -> Predicate:
        certain: Predicate = _regex(column, regex)
        if column == "message":
            # Most words stand between blanks: that is seen at a tenth of the regex's cost.
            certain = some(_contains(column, f" {' '.join(words)} "), certain)
        return every(*(part for word in longest for part in _prefilter(column, word)), certain)

    return find


def wildcard_in_text(pattern: str) -> Finder:
    """The pattern lies between token boundaries; its wildcards stand for token characters."""
    parts = wildcard_parts(pattern)
    # A run at an end can always be drawn out to the next boundary, so it and the boundary ask for nothing.
    open_start, open_end = _ends(parts)
    inner = _without_outer_runs(parts)
    if not inner:
        return lambda column: TRUE
    start = "" if open_start or not _bounds_token(inner[0], 0) else _START
    end = "" if open_end or not _bounds_token(inner[-1], -1) else _END
    return _wildcard_finder(inner, start, end, _TOKEN_CHARACTER)


def wildcard_of_value(pattern: str) -> Finder:
    """The pattern covers the whole value; its wildcards stand for any characters."""
    parts = wildcard_parts(pattern)
    open_start, open_end = _ends(parts)
    inner = _without_outer_runs(parts)
    return _wildcard_finder(inner, "" if open_start else r"\A", "" if open_end else r"\z", "(?s:.)")


def equal_value(text: str) -> Finder:
    """The value is `text`, but for the case of ASCII letters."""

    def find(column: str) -> Predicate:
        if _CASELESS_RUN.fullmatch(text) or not text:
            return Atom(f"({column} = {text_literal(text)})", _EQUAL_COST)
        length = Atom(f"(strlen({column}) = {len(text.encode())})", _EQUAL_COST)
        if not text.isascii():
            return every(length, _regex(column, rf"\A{_folded(text)}\z"))
        # `lower` maps characters one to one. So as many bytes as there are characters means that all are ASCII.
        folded = Atom(f"(lower({column}) = {text_literal(ascii_lower(text))})", _ILIKE_COST)
        run = _caseless_run(text)
        return every(length, *([] if run is None else [_contains(column, run)]), folded)

    return find


def regex_in_text(pattern: str) -> Finder:
    """RE2 finds the pattern somewhere. Raises `QueryError` when it refuses it."""
    check_text(pattern)
    check_regex(pattern)
    return lambda column: _regex(column, pattern)


def _wildcard_finder(parts: list[str | Sign], start: str, end: str, any_character: str) -> Finder:
    signs = {Sign.ONE: any_character, Sign.RUN: f"{any_character}*"}
    regex = "".join(signs[part] if isinstance(part, Sign) else _folded(part) for part in parts)
    longest = max((part for part in parts if isinstance(part, str)), key=len, default="")
    if not start and not end and parts == [longest] and _CASELESS_RUN.fullmatch(longest):
        return lambda column: _contains(column, longest)
    return lambda column: every(*_prefilter(column, longest), _regex(column, f"{start}{regex}{end}"))


def _ends(parts: list[str | Sign]) -> tuple[bool, bool]:
    return bool(parts) and parts[0] is Sign.RUN, bool(parts) and parts[-1] is Sign.RUN


def _without_outer_runs(parts: list[str | Sign]) -> list[str | Sign]:
    inner = list(parts)
    while inner and inner[0] is Sign.RUN:
        inner.pop(0)
    while inner and inner[-1] is Sign.RUN:
        inner.pop()
    return inner


def _bounds_token(part: str | Sign, edge: int) -> bool:
    """Whether the pattern's first (0) or last (-1) character is of a token, so that a boundary must be there."""
    return isinstance(part, Sign) or TOKEN.fullmatch(part[edge]) is not None


def _prefilter(column: str, literal: str) -> list[Predicate]:
    """Cheap conditions that hold wherever `literal` is a part, but for the case of ASCII letters."""
    run = _caseless_run(literal)
    if run is not None:
        return [_contains(column, run)]
    if not literal:
        return []
    letters = set(ascii_lower(literal))
    rarest = next((letter for letter in _RARE_LETTERS if letter in letters), None)
    either_case = [] if rarest is None else [some(_contains(column, rarest), _contains(column, rarest.upper()))]
    if column in ID_COLUMNS and rarest is not None and rarest not in "abcdef":
        return either_case
    # ILIKE folds more than ASCII, and takes % and _ for wildcards: it finds too much, never too little.
    similar = Atom(f"({column} ILIKE {text_literal(f'%{literal}%')})", _ILIKE_COST)
    return [*either_case, similar] if rarest is not None and rarest in _RARE_LETTERS_WORTH else [similar]


def _caseless_run(text: str) -> str | None:
    """The longest run of characters that have no ASCII case: where `text` is, it must be as it stands."""
    longest = max(_CASELESS_RUN.findall(text), key=len, default="")
    return longest if len(longest) >= _CASELESS_RUN_MIN or (longest and longest == text) else None


def _folded(text: str) -> str:
    """RE2 for `text` itself, but for the case of ASCII letters."""
    return "".join(map(_folded_character, text))


def _folded_character(character: str) -> str:
    if not character.isascii() or character.isdigit() or character == "_":
        return character
    if character.isalpha():
        return f"[{character.lower()}{character.upper()}]"
    return rf"\x{{{ord(character):x}}}"


def _contains(column: str, text: str) -> Atom:
    return Atom(f"contains({column}, {text_literal(text)})", _CONTAINS_COST)


def _regex(column: str, regex: str) -> Atom:
    return Atom(f"regexp_matches({column}, {text_literal(regex)})", REGEX_COST)
