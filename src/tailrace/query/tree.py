"""The query tree: what a query means, apart from the language it was written in and the engine that answers it.

Frozen, and without positions: two queries that mean the same are equal.

What the nodes mean, for every engine
-------------------------------------
*Tokens.* A text is cut into tokens: the longest runs of ASCII letters, ASCII digits, `_` and characters beyond
ASCII. Tokens are compared without regard to ASCII case.

*Fields.* `message` is text. `level`, `service`, `host`, `trace_id`, `span_id` and every attribute (any other name;
dots are part of it; `attributes.NAME` means the attribute NAME, also where a column has that name) are values,
compared whole and without regard to ASCII case. `timestamp` and `observed_timestamp` are times. A node whose `field`
is None looks everywhere: in the tokens of `message`, `service`, `host`, `trace_id`, `span_id` and of every
attribute's value; it holds when one of them holds it.

* `Phrase(field, text)`: on text and on None: the tokens of `text` follow each other, in order and with no token
  between. On a value: the value equals `text`. A phrase without any token (only punctuation) is matched as a
  substring, ASCII-case-insensitively. A time is equal when `text`, read as a time, is (to the precision written:
  `2025-03-28` is the whole day).
* `Wildcard(field, pattern)`: `*` is any run, `?` any one character, `\\` escapes. On text and on None: the pattern
  lies between token boundaries, and its wildcards stand for token characters. On a value: it covers the whole
  value, and its wildcards stand for any characters.
* `Regex(field, pattern)`: RE2 syntax, case-sensitive unless it says `(?i)`; holds when it is found anywhere in the
  whole text or value (None: in any of the fields above).
* `Range(field, low, high, …)`: on times as times (a bound is a span as long as its precision: `<= 2025-03-28` takes
  in the whole day, `> 2025-03-28` begins after it); on `level` by severity; on other values as numbers when every
  given bound is a number (values that are none do not match), else by Unicode code points. A number is decimal, in
  ASCII digits with sign, point and exponent, and compared as a 64-bit float. A bound of None is open; with both open,
  the field has to be there.
* `Exists(field)`: the field is there (not null). `message` and the times always are.
* `All`: every event. `And`, `Or` over one or more nodes; `Not`. A node is true or false, never unknown: an absent
  field makes it false, so `Not` of it is true.
* On `level`, values are names of levels in any case and their usual aliases (`warning`, `err`, `critical`, …); a
  wildcard or regex sees the six names themselves.

What cannot be answered is a `QueryError` in every engine, not an empty answer: a level or time that is none, a
regex that RE2 refuses, a wildcard or regex on a time, a range on `message`, and text that is not Unicode (half of a
surrogate pair).
"""

from __future__ import annotations

from dataclasses import dataclass

TEXT_FIELDS = frozenset({"message"})
VALUE_FIELDS = frozenset({"level", "service", "host", "trace_id", "span_id"})
TIME_FIELDS = frozenset({"timestamp", "observed_timestamp"})
EVERYWHERE = ("message", "service", "host", "trace_id", "span_id")
"""The columns a node without a field looks in, besides every attribute's value."""


@dataclass(frozen=True, slots=True)
class All:
    pass


@dataclass(frozen=True, slots=True)
class Phrase:
    field: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Wildcard:
    field: str | None
    pattern: str


@dataclass(frozen=True, slots=True)
class Regex:
    field: str | None
    pattern: str


@dataclass(frozen=True, slots=True)
class Range:
    field: str
    low: str | None
    high: str | None
    include_low: bool = True
    include_high: bool = True


@dataclass(frozen=True, slots=True)
class Exists:
    field: str


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Node


Node = All | Phrase | Wildcard | Regex | Range | Exists | And | Or | Not
