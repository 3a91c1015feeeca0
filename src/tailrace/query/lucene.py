"""Lucene query syntax to our tree, by luqum's grammar. `docs/query-language.md` shows the language by examples.

Differences from Lucene that a reader of this code must know: two terms side by side are joined by AND; AND binds
more tightly than OR, also where it is not written; `+` changes nothing.
"""

from __future__ import annotations

import re
import threading

import luqum.parser
from luqum import tree as lucene
from luqum.exceptions import ParseSyntaxError

from tailrace.errors import QueryError
from tailrace.model.batch import LEVELS
from tailrace.query.leaves import COLUMN_FIELDS, SURROGATE, Sign, is_any, level_named, number, wildcard_parts
from tailrace.query.lexer import LENGTH_MAX, UNARY, Token, lex
from tailrace.query.times import parse_absolute_time
from tailrace.query.to_sql import to_sql
from tailrace.query.tree import (
    TEXT_FIELDS,
    TIME_FIELDS,
    All,
    And,
    Exists,
    Node,
    Not,
    Or,
    Phrase,
    Range,
    Regex,
    Wildcard,
)

FIELD_ALIASES = {
    **dict.fromkeys(("@timestamp", "time", "ts", "_time"), "timestamp"),
    **dict.fromkeys(("severity", "log.level", "levelname", "severityText"), "level"),
    **dict.fromkeys(("msg", "_msg"), "message"),
    **dict.fromkeys(("service.name", "service_name"), "service"),
    **dict.fromkeys(("hostname", "host.name"), "host"),
    **dict.fromkeys(("traceId", "traceID", "traceid", "trace.id"), "trace_id"),
    **dict.fromkeys(("spanId", "spanID", "spanid", "span.id"), "span_id"),
}
"""Names that other systems give to our columns."""

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

# PLY keeps the state of a parse on the parser, of which luqum has one for the process; a parse takes milliseconds.
_GRAMMAR_LOCK = threading.Lock()


def parse(text: str) -> Node:
    """The tree that a query means; an empty query means every event.

    Raises `QueryError`, and nothing else, for any text that is not a query, with the column of what is wrong.
    """
    if len(text) > LENGTH_MAX:
        raise QueryError(f"a query may have {LENGTH_MAX} characters; this one has {len(text)}", column=LENGTH_MAX + 1)
    surrogate = SURROGATE.search(text)
    if surrogate is not None:
        raise QueryError(f"{surrogate.group()!a} is not a character", column=surrogate.start() + 1)
    tokens = lex(text)
    return _node(_grammar(tokens), None) if tokens else All()


class _Feed:
    """Hands tokens to luqum's parser as PLY wants it, and remembers the last one."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = iter(tokens)
        self.seen: list[Token | None] = [None]

    def token(self) -> Token | None:
        self.seen.append(next(self._tokens, None))
        return self.seen[-1]


def _grammar(tokens: list[Token]) -> lucene.Item:
    feed = _Feed(tokens)
    try:
        with _GRAMMAR_LOCK:
            return luqum.parser.parser.parse(None, lexer=feed)
    except ParseSyntaxError as error:
        raise _explained(feed.seen[-2], feed.seen[-1]) from error


def _explained(before: Token | None, wrong: Token | None) -> QueryError:
    """Why the grammar has no place for `wrong` (None: the end) after `before` (None: the start)."""
    if before is not None and before.type == "COLUMN":
        return QueryError(
            "the field has no value; write field:* to ask only whether it is there", column=before.column
        )
    if before is not None and before.type in {"AND_OP", "OR_OP", *UNARY}:
        return QueryError(f"a term must follow {before.text!r}", column=before.column)
    if before is not None and before.type in {"GREATERTHAN", "LESSTHAN"}:
        return QueryError("a value must follow the comparison", column=before.column)
    if before is not None and before.type == "LPAREN" and wrong is not None and wrong.type == "RPAREN":
        return QueryError("there is nothing between these parentheses", column=before.column)
    if wrong is not None and wrong.type in {"AND_OP", "OR_OP"}:
        return QueryError(f"a term must stand before {wrong.text!r}", column=wrong.column)
    if wrong is not None:
        return QueryError(f"{wrong.text!r} cannot stand here", column=wrong.column)
    return QueryError("the query ends too early", column=None if before is None else before.column)


def _node(item: lucene.Item, field: str | None) -> Node:
    match item:
        case lucene.BaseOperation():
            return _any_of([_all_of([_node(part, field) for part in parts]) for parts in _alternatives(item)])
        case lucene.BaseGroup() | lucene.Plus():
            return _node(item.children[0], field)
        case lucene.Not() | lucene.Prohibit():
            part = _node(item.a, field)
            return part.part if isinstance(part, Not) else Not(part)
        case lucene.SearchField():
            return _field_search(item)
        case lucene.Range() | lucene.From() | lucene.To():
            return _range(item, field)
        case _:
            return _checked(_term(item, field), item)


def _alternatives(item: lucene.Item) -> list[list[lucene.Item]]:
    """A row of operands as an OR of ANDs.

    luqum lets a pair of terms without an operator bind more loosely than OR. But its operations keep the order of
    the text, so cutting that order at each OR gives AND its usual place, written or not.
    """
    if isinstance(item, lucene.OrOperation):
        return [parts for operand in item.operands for parts in _alternatives(operand)]
    if not isinstance(item, lucene.BaseOperation):
        return [[item]]
    found: list[list[lucene.Item]] = [[]]
    for operand in item.operands:
        first, *others = _alternatives(operand)
        found[-1] += first
        found += others
    return found


def _all_of(parts: list[Node]) -> Node:
    kept = [inner for part in parts for inner in (part.parts if isinstance(part, And) else (part,))]
    kept = [part for part in kept if not isinstance(part, All)]
    return And(tuple(kept)) if len(kept) > 1 else kept[0] if kept else All()


def _any_of(parts: list[Node]) -> Node:
    kept = [inner for part in parts for inner in (part.parts if isinstance(part, Or) else (part,))]
    if any(isinstance(part, All) for part in kept):
        return All()
    return Or(tuple(kept)) if len(kept) > 1 else kept[0]


def _field_search(item: lucene.SearchField) -> Node:
    if item.name == "*":
        return _node(item.expr, None)
    if _has_wildcard(item.name):
        raise _wrong("a field name takes no wildcard; leave the field out to look in all of them", item)
    name = _unescaped(item.name)
    if name != "_exists_":
        return _node(item.expr, _field(name))
    if not isinstance(item.expr, lucene.Word) or _has_wildcard(item.expr.value):
        raise _wrong("_exists_ takes the name of one field: _exists_:latency_ms", item)
    return Exists(_field(_unescaped(item.expr.value)))


def _field(name: str) -> str:
    """The one name of a field that several names mean."""
    name = FIELD_ALIASES.get(name, name)
    attribute = name.removeprefix("attributes.")
    return name if attribute in COLUMN_FIELDS or not attribute else attribute


def _term(item: lucene.Item, field: str | None) -> Node:
    match item:
        case lucene.Word() if _has_wildcard(item.value):
            pattern = _ESCAPED.sub(_kept_escape, item.value)
            if is_any(pattern):
                return All() if field is None else Exists(field)
            return Wildcard(field, pattern)
        case lucene.Word():
            return Phrase(field, _unescaped(item.value))
        case lucene.Regex():
            # Within the slashes every slash is escaped, and needs it no longer.
            return Regex(field, item.value[1:-1].replace("\\/", "/"))
        case _:
            phrase = _unescaped(item.value[1:-1])
            if not phrase and (field is None or field in TEXT_FIELDS):
                raise _wrong("this phrase is empty", item)
            return Phrase(field, phrase)


def _range(item: lucene.Item, field: str | None) -> Node:
    if field is None:
        raise _wrong("a range needs a field: latency_ms:[100 TO 500]", item)
    match item:
        case lucene.From():
            return _checked(Range(field, _comparand(item), None, include_low=item.include), item)
        case lucene.To():
            return _checked(Range(field, None, _comparand(item), include_high=item.include), item)
        case _:
            low, high = _bound(item.low), _bound(item.high)
    if low is None and high is None:
        return Exists(field)
    # One bound at a time, so that the column is that of the one that is wrong.
    _checked(Range(field, low, None), item.low)
    _checked(Range(field, None, high), item.high)
    if low is not None and high is not None and _is_mixed_up(field, low, high):
        raise _wrong(f"the lower bound {low!r} is above the upper bound {high!r}", item)
    return Range(field, low, high, item.include_low, item.include_high)


def _comparand(item: lucene.OpenRange) -> str:
    bound = _bound(item.a)
    if bound is None:
        raise _wrong("a comparison needs a value; write field:* to ask only whether it is there", item.a)
    return bound


def _bound(item: lucene.Item) -> str | None:
    """The text of a range's bound, or None for `*`, an open one."""
    if isinstance(item, lucene.Phrase):
        return _unescaped(item.value[1:-1])
    if item.value == "*":
        return None
    if _has_wildcard(item.value):
        raise _wrong("a bound takes no wildcard; an open bound is a lone *", item)
    return _unescaped(item.value)


def _is_mixed_up(field: str, low: str, high: str) -> bool:
    """Whether the bounds, at whatever time of day they are read, leave nothing between them."""
    if field in TIME_FIELDS:
        first, last = parse_absolute_time(low), parse_absolute_time(high)
        return first is not None and last is not None and first[0] >= last[1]
    if field == "level":
        return LEVELS.index(level_named(low)) > LEVELS.index(level_named(high))
    low_number, high_number = number(low), number(high)
    if low_number is not None and high_number is not None:
        return low_number > high_number
    return low > high


def _checked(leaf: Node, item: lucene.Item) -> Node:
    """The leaf itself, when an engine can answer it; what stands in its way gets the column of its item."""
    try:
        to_sql(leaf, now_us=0)
    except QueryError as error:
        raise _wrong(str(error), item) from error
    return leaf


def _has_wildcard(raw: str) -> bool:
    return any(isinstance(part, Sign) for part in wildcard_parts(raw))


def _unescaped(raw: str) -> str:
    return _ESCAPED.sub(r"\1", raw)


def _kept_escape(escaped: re.Match[str]) -> str:
    """In a pattern only what would be a sign of its own stays escaped, so that equal patterns are equal texts."""
    return escaped[0] if escaped[1] in "*?\\" else escaped[1]


def _wrong(message: str, item: lucene.Item) -> QueryError:
    return QueryError(message, column=item.pos + 1)
