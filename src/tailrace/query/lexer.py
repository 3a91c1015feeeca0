"""The words of a query in Lucene syntax, as the tokens of luqum's grammar, with every mistake named by its column.

luqum's own lexer knows neither `&&`, `||`, `!`, nor a value with colons in it, and keeps its place in a shared
object. This one is a pure function; luqum's parser reads its result.
"""

from __future__ import annotations

import re
from typing import Any

from luqum.head_tail import TokenValue
from luqum.tree import Phrase, Regex, Word

from tailrace.errors import QueryError

LENGTH_MAX = 8192
"""Characters of a query: far more than a person writes, and parsed in well under 100 ms."""
TERMS_MAX = 256
"""Terms of a query: each may read every column, and DuckDB's time to plan grows with them."""
DEPTH_MAX = 50
"""Parentheses and negations within each other: far below where Python's and DuckDB's stacks end."""

_OPERATORS = {"AND": "AND_OP", "&&": "AND_OP", "OR": "OR_OP", "||": "OR_OP", "NOT": "NOT"}
UNARY = frozenset({"NOT", "PLUS", "MINUS"})
COMPARISONS = frozenset({"LESSTHAN", "GREATERTHAN"})
_TERMS = frozenset({"TERM", "PHRASE", "REGEX"})

_QUOTE = "put text that holds it in quotes"
_QUOTE_SLASH = "put text that begins with a slash in quotes"
_QUOTE_COLON = "put text that holds ':' in quotes"
_RANGE_ALONE = f"a range needs a field: latency_ms:[100 TO 500]; {_QUOTE}"
_BOOST = f"boosting (^) is not supported, since events come in the order of time: leave it out; {_QUOTE}"
_FUZZY = f"fuzzy search (~) is not supported: write wildcards, as in pay*; {_QUOTE}"
_MISPLACED = {
    "[": _RANGE_ALONE,
    "{": _RANGE_ALONE,
    "]": f"no range is open that ']' could close; {_QUOTE}",
    "}": f"no range is open that '}}' could close; {_QUOTE}",
    "^": _BOOST,
    "~": _FUZZY,
}
_INSIDE_WORD = {
    **{bracket: f"{bracket!r} within a word: {_QUOTE}, or write \\{bracket}" for bracket in "([]{}"},
    '"': 'a quote within a word: put a blank before it, or write \\"',
    "^": _BOOST,
    "~": _FUZZY,
    "\\": "nothing follows the backslash; a backslash itself is written twice",
}

_SPACE = re.compile(r"\s+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_SLASHED = re.compile(r"/((?:[^/\\]|\\.)*)/", re.DOTALL)
_NAME_OR_TERM = re.compile(r'(?:[^\s:()\[\]{}"~^\\]|\\.)+', re.DOTALL)
_FIELD_VALUE = re.compile(r'(?:[^\s()\[\]{}"~^\\]|\\.)+', re.DOTALL)
_BOUND = re.compile(r'(?:[^\s()\[\]{}"\\]|\\.)+', re.DOTALL)


class Token:
    """A token as luqum's parser (PLY) wants it: `lexpos` is its 0-based place, `text` what was written."""

    def __init__(self, kind: str, text: str, lexpos: int, value: Any = None) -> None:
        self.type = kind
        self.text = text
        self.lexpos = lexpos
        self.value = value if value is not None else TokenValue(text)
        self.value.pos, self.value.size = lexpos, len(text)

    @property
    def column(self) -> int:
        return self.lexpos + 1


def lex(text: str) -> list[Token]:
    """Cut a query into tokens, nesting checked. Raises `QueryError` with the column of what is wrong."""
    tokens = _Lexer(text).read()
    _check_nesting(tokens)
    terms = [token for token in tokens if token.type in _TERMS]
    if len(terms) > TERMS_MAX:
        raise QueryError(f"a query may have {TERMS_MAX} terms; this is one more", column=terms[TERMS_MAX].column)
    return tokens


def _check_nesting(tokens: list[Token]) -> None:
    """Every parenthesis has its other half, and they and the negations lie at most DEPTH_MAX within each other."""
    opened: list[tuple[Token, int]] = []
    around = run = 0  # negations around the parentheses that are open, and those just before this token
    for token in tokens:
        if token.type == "LPAREN":
            opened.append((token, around))
            around, run = around + run, 0
        elif token.type == "RPAREN":
            if not opened:
                raise QueryError("nothing is open that ')' could close", column=token.column)
            around, run = opened.pop()[1], 0
        else:
            run = run + 1 if token.type in UNARY else 0
        if len(opened) + around + run > DEPTH_MAX:
            raise QueryError(f"nested more than {DEPTH_MAX} deep", column=token.column)
    if opened:
        raise QueryError("this '(' is never closed", column=opened[-1][0].column)


class _Lexer:
    """Goes through one text once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._tokens: list[Token] = []
        self._field_known = [False]  # for each open parenthesis, whether what it holds is about a field

    def read(self) -> list[Token]:
        while self._skip_space():
            self._read_token()
        return self._tokens

    def _skip_space(self) -> bool:
        """Whether something is left."""
        space = _SPACE.match(self._text, self._at)
        self._at = space.end() if space else self._at
        return self._at < len(self._text)

    def _read_token(self) -> None:
        character = self._text[self._at]
        before = self._tokens[-1].type if self._tokens else ""
        if character == '"':
            self._read_quoted()
        elif before in COMPARISONS:
            self._read_bound("a value must follow the comparison")
        elif character == "(":
            self._field_known.append(self._has_field(before))
            self._emit("LPAREN", 1)
        elif character == ")":
            # One too many is found by `_check_nesting`; the first entry is for the whole query.
            self._field_known = self._field_known[:-1] or [False]
            self._emit("RPAREN", 1)
        elif character in "[{" and self._has_field(before):
            self._read_range()
        elif character in _MISPLACED:
            raise self._wrong(_MISPLACED[character])
        elif character == "/":
            self._read_regex()
        elif character == ":":
            self._read_colon(before)
        elif character in "<>":
            self._read_comparison(before)
        elif character == "!" or (character in "+-" and before != "COLUMN"):
            self._read_sign(character)
        else:
            self._read_term(_FIELD_VALUE if before == "COLUMN" else _NAME_OR_TERM)

    def _has_field(self, before: str) -> bool:
        return before == "COLUMN" or self._field_known[-1]

    def _emit(self, kind: str, length: int, value: Any = None) -> None:
        self._tokens.append(Token(kind, self._text[self._at : self._at + length], self._at, value))
        self._at += length

    def _wrong(self, message: str, at: int | None = None) -> QueryError:
        return QueryError(message, column=(self._at if at is None else at) + 1)

    def _read_quoted(self) -> None:
        quoted = _QUOTED.match(self._text, self._at)
        if quoted is None:
            raise self._wrong('this quote is never closed; a quote that is meant itself is written \\"')
        self._emit("PHRASE", len(quoted.group()), Phrase(quoted.group()))
        follower = self._text[self._at : self._at + 1]
        if follower == "~":
            raise self._wrong("proximity (~) is not supported: write the words joined by AND, or the exact phrase")
        if follower == ":":
            raise self._wrong("a field name is written without quotes; blanks in it are written '\\ '")

    def _read_regex(self) -> None:
        slashed = _SLASHED.match(self._text, self._at)
        start = self._at
        if slashed is None:
            raise self._wrong(f"the regular expression that begins here is never closed by '/'; {_QUOTE_SLASH}")
        self._emit("REGEX", len(slashed.group()), Regex(slashed.group()))
        follower = self._text[self._at : self._at + 1]
        if follower and not follower.isspace() and follower not in ")^~":
            raise self._wrong(
                f"a regular expression ends at its second '/', and a blank must follow; {_QUOTE_SLASH}", start
            )
        if slashed.group() == "//":
            raise self._wrong(f"the regular expression is empty; {_QUOTE_SLASH}", start)

    def _read_colon(self, before: str) -> None:
        is_value = len(self._tokens) > 1 and self._tokens[-2].type in {"COLUMN", *COMPARISONS}
        if before != "TERM" or is_value:
            raise self._wrong(f"a field name must stand before ':'; {_QUOTE_COLON}")
        name = self._tokens[-1]
        if name.text.isdigit():
            raise QueryError(f"{name.text!r} is not a field name; {_QUOTE_COLON}", column=name.column)
        self._emit("COLUMN", 1)

    def _read_comparison(self, before: str) -> None:
        character = self._text[self._at]
        if not self._has_field(before):
            raise self._wrong(f"{character!r} needs a field: latency_ms:{character}250; {_QUOTE}")
        length = 2 if self._text.startswith("=", self._at + 1) else 1
        self._emit("GREATERTHAN" if character == ">" else "LESSTHAN", length)

    def _read_sign(self, character: str) -> None:
        follower = self._text[self._at + 1 : self._at + 2]
        if not follower or follower.isspace():
            raise self._wrong(f"{character!r} must stand right before a term; {_QUOTE}")
        self._emit({"!": "NOT", "+": "PLUS", "-": "MINUS"}[character], 1)

    def _read_term(self, shape: re.Pattern[str]) -> None:
        found = shape.match(self._text, self._at)
        if found is None:
            raise self._wrong("nothing follows the backslash; a backslash itself is written twice")
        word = found.group()
        if word in _OPERATORS:
            self._emit(_OPERATORS[word], len(word))
            return
        for operator in ("&&", "||"):
            if word.startswith(operator):
                self._emit(_OPERATORS[operator], 2)
                return
        self._emit("TERM", len(word), Word(word))
        follower = self._text[self._at : self._at + 1]
        if follower and follower in _INSIDE_WORD:
            raise self._wrong(_INSIDE_WORD[follower])

    def _read_range(self) -> None:
        start = self._at
        self._emit("LBRACKET", 1)
        self._read_bound("the range lacks its lower bound; an open bound is written *")
        self._skip_space()
        word = _BOUND.match(self._text, self._at)
        if word is None or word.group() != "TO":
            self._check_range_goes_on(start)
            raise self._wrong("TO is missing: a range is written [low TO high], and bounds with blanks in quotes")
        self._emit("TO", 2)
        self._read_bound("the range lacks its upper bound; an open bound is written *")
        self._skip_space()
        self._check_range_goes_on(start)
        if self._text[self._at] not in "]}":
            raise self._wrong(
                "']' or '}' is missing: a range is written [low TO high], and bounds with blanks in quotes"
            )
        self._emit("RBRACKET", 1)

    def _check_range_goes_on(self, start: int) -> None:
        if self._at == len(self._text):
            raise self._wrong("this range is never closed; it is written [low TO high]", start)

    def _read_bound(self, missing: str) -> None:
        self._skip_space()
        if self._text.startswith('"', self._at):
            self._read_quoted()
            return
        bound = _BOUND.match(self._text, self._at)
        if bound is None or bound.group() == "TO":
            raise self._wrong(missing)
        self._emit("TERM", len(bound.group()), Word(bound.group()))
