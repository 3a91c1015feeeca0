"""Templates of `line_format` and `label_format`: the part of Go's text/template that log queries are written in.

Texts, `{{ .label | function "argument" }}` with brackets, `{{ if … }} … {{ else if … }} … {{ else }} … {{ end }}`,
comments, and the trim marks `{{-` and `-}}`. `range`, `with`, variables and definitions are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tailrace.errors import QueryError
from tailrace.query.logql.template_functions import FUNCTIONS, check_length, is_true, text_of
from tailrace.query.logql.values import number_of, unquoted

_WORD = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<field>(?:\.[A-Za-z_]\w*)+)|(?P<dot>\.)(?![\w.])"""
    r"""|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[|()])"""
    r"""|(?P<variable>\$\w*))\s*"""
)
_REFUSED_WORDS = frozenset(("range", "with", "define", "template", "block", "break", "continue"))


@dataclass(frozen=True, slots=True)
class Row:
    """What a template sees of one line."""

    labels: Mapping[str, str]
    line: str
    time_ns: int


class _Texts(list[str]):
    """What a template has made of a line so far."""

    def __init__(self) -> None:
        super().__init__()
        self._characters = 0

    def append(self, text: str) -> None:
        """Raises `ValueError` when all of it is too long."""
        self._characters += len(text)
        check_length(self._characters)
        super().append(text)


_Value = Callable[[Row], Any]
_Part = Callable[[Row, _Texts], None]


@dataclass(frozen=True, slots=True)
class Template:
    """A template that was checked; `labels` are the names it looks at."""

    labels: frozenset[str]
    parts: tuple[_Part, ...]

    def render(self, row: Row) -> str:
        """Raises `ValueError` where a function fails."""
        texts = _Texts()
        try:
            for part in self.parts:
                part(row, texts)
        except (TypeError, LookupError, ArithmeticError, RecursionError) as error:
            raise ValueError(str(error)) from error
        return "".join(texts)


@lru_cache(maxsize=128)
def template(text: str) -> Template:
    """Raises `QueryError`, with the name of what is not supported."""
    reader = _Reader(text)
    parts, ended_by = reader.parts()
    if ended_by:
        raise reader.refused(f"unexpected {{{{{ended_by}}}}}")
    return Template(frozenset(reader.labels), tuple(parts))


class _Reader:
    def __init__(self, text: str) -> None:
        self.labels: set[str] = set()
        self._text = text
        self._pieces = self._cut(text)

    def refused(self, reason: str) -> QueryError:
        return QueryError(f"parse error: invalid line template {self._text!r}: {reason}")

    def _cut(self, text: str) -> list[tuple[bool, str]]:
        """Texts and actions (True), the first one last."""
        pieces: list[tuple[bool, str]] = []
        end = 0
        trim = False
        while (start := text.find("{{", end)) >= 0:
            close = self._close(text, start + 2)
            action = text[start + 2 : close]
            before = text[end:start].lstrip() if trim else text[end:start]
            if action.startswith(("- ", "-\n", "-\t")):
                before, action = before.rstrip(), action[1:]
            trim = action.endswith((" -", "\n-", "\t-"))
            pieces.append((False, before))
            pieces.append((True, (action[:-1] if trim else action).strip()))
            end = close + 2
        pieces.append((False, text[end:].lstrip() if trim else text[end:]))
        return pieces[::-1]

    def _close(self, text: str, start: int) -> int:
        """Where the action that begins at `start` is closed, brackets within its texts apart."""
        quote = ""
        place = start
        while place < len(text):
            character = text[place]
            if quote:
                if character == "\\" and quote == '"':
                    place += 1
                elif character == quote:
                    quote = ""
            elif character in '"`' and not text.startswith("/*", start):
                quote = character
            elif text.startswith("}}", place):
                return place
            place += 1
        raise self.refused("unclosed action")

    def parts(self) -> tuple[list[_Part], str]:
        """Up to an `else` or `end`, which is given too, or the template's end."""
        parts: list[_Part] = []
        while self._pieces:
            is_action, piece = self._pieces.pop()
            if not is_action:
                if piece:
                    parts.append(_literal(piece))
                continue
            word, _, rest = piece.partition(" ")
            if word in ("end", "else"):
                return parts, piece
            if word == "if":
                parts.append(self._if(rest))
            elif word in _REFUSED_WORDS:
                raise self.refused(f"{word} is not supported here")
            elif not piece.startswith("/*"):
                parts.append(_shown(self._pipeline(piece)))
        return parts, ""

    def _if(self, condition: str) -> _Part:
        test = self._pipeline(condition)
        then, ended_by = self.parts()
        otherwise: list[_Part] = []
        if ended_by.startswith("else"):
            rest = ended_by.removeprefix("else").strip()
            if rest.startswith("if "):
                return _choice(test, then, [self._if(rest.removeprefix("if "))])
            otherwise, ended_by = self.parts()
        if ended_by != "end":
            raise self.refused("an if without its end")
        return _choice(test, then, otherwise)

    def _pipeline(self, text: str) -> _Value:
        words: list[re.Match[str]] = []
        end = 0
        while end < len(text):
            word = _WORD.match(text, end)
            if word is None:
                raise self.refused(f"unexpected {text[end:].strip()[:20]!r}")
            words.append(word)
            end = word.end()
        return self._piped(words, [0])

    def _piped(self, words: list[re.Match[str]], at: list[int]) -> _Value:
        value: _Value | None = None
        while True:
            value = self._command(words, at, value)
            if at[0] < len(words) and words[at[0]]["sign"] == "|":
                at[0] += 1
                continue
            return value

    def _command(self, words: list[re.Match[str]], at: list[int], piped: _Value | None) -> _Value:
        if at[0] >= len(words):
            raise self.refused("missing value for command")
        name = words[at[0]]["name"]
        if name is None or name in ("true", "false"):
            value = self._operand(words, at)
            if piped is not None or (at[0] < len(words) and words[at[0]]["sign"] not in ("|", ")")):
                raise self.refused("a value that is no function is given arguments")
            return value
        at[0] += 1
        arguments: list[_Value] = []
        while at[0] < len(words) and words[at[0]]["sign"] not in ("|", ")"):
            arguments.append(self._operand(words, at))
        if piped is not None:
            arguments.append(piped)
        return self._call(name, arguments)

    def _operand(self, words: list[re.Match[str]], at: list[int]) -> _Value:
        word = words[at[0]]
        at[0] += 1
        if word["text"] is not None:
            text = unquoted(word["text"])
            if text is None:
                raise self.refused(f"{word['text']} is not a text")
            return lambda _: text
        if word["field"] is not None:
            names = word["field"][1:].split(".")
            if len(names) > 1:
                raise self.refused(f"{word['field']}: a label has no fields")
            name = names[0]
            self.labels.add(name)
            return lambda row: row.labels.get(name, "")
        if word["number"] is not None:
            number = number_of(word["number"])
            value: Any = int(word["number"]) if word["number"].lstrip("+-").isdecimal() else number
            return lambda _: value
        if word["name"] in ("true", "false"):
            truth = word["name"] == "true"
            return lambda _: truth
        if word["name"] is not None:
            return self._call(word["name"], [])
        if word["sign"] == "(":
            inner = self._piped(words, at)
            if at[0] >= len(words) or words[at[0]]["sign"] != ")":
                raise self.refused("unclosed left bracket")
            at[0] += 1
            return inner
        raise self.refused(f"{word[0].strip()} is not supported here")

    def _call(self, name: str, arguments: list[_Value]) -> _Value:
        if name == "__line__":
            return lambda row: row.line
        if name == "__timestamp__":
            return lambda row: row.time_ns
        function = FUNCTIONS.get(name)
        if function is None:
            raise self.refused(f"function {name!r} is not supported here; known are {', '.join(sorted(FUNCTIONS))}")
        return lambda row: _bounded(function(*(argument(row) for argument in arguments)))


def _bounded(value: Any) -> Any:
    """The same: what one function made is what the next may make longer."""
    if isinstance(value, str):
        check_length(len(value))
    return value


def _literal(text: str) -> _Part:
    return lambda _, texts: texts.append(text)


def _shown(value: _Value) -> _Part:
    return lambda row, texts: texts.append(text_of(value(row)))


def _choice(test: _Value, then: list[_Part], otherwise: list[_Part]) -> _Part:
    def part(row: Row, texts: _Texts) -> None:
        for each in then if is_true(test(row)) else otherwise:
            each(row, texts)

    return part
