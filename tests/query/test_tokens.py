"""Tokens that a query cannot do without: as many as can be told, in the shortest form."""

from __future__ import annotations

import pytest

from tailrace.query.lucene import parse
from tailrace.query.tokens import AllOf, AnyOf, Level, Required, Token, Unknown, exact_tokens, required_tokens, tokens

A, B, C = map(Token, "abc")

REQUIRED: dict[str, Required] = {
    "*": Unknown(),
    "Foo": Token("foo"),
    '"Foo bar, FOO"': AllOf((Token("foo"), Token("bar"))),
    "service:pay-svc": AllOf((Token("pay"), Token("svc"))),
    "http.path:/api\\/v1/": Unknown(),
    'http.path:"/api/v1"': AllOf((Token("api"), Token("v1"))),
    '"..."': Unknown(),
    "a b c": AllOf((A, B, C)),
    "a (b c)": AllOf((A, B, C)),
    "a b a": AllOf((A, B)),
    "a OR b": AnyOf((A, B)),
    "a OR (b OR a)": AnyOf((A, B)),
    "a OR a": A,
    "a (b OR c)": AllOf((A, AnyOf((B, C)))),
    "a OR b*": Unknown(),
    "a NOT b": A,
    "NOT a": Unknown(),
    "a OR NOT b": Unknown(),
    "a /b/ x:* x:>5 c": AllOf((A, C)),
    "foo.bar*": Token("foo"),
    "*foo.bar.baz*": Token("bar"),
    "foo?bar": Unknown(),
    "service:pay.*.svc": AllOf((Token("pay"), Token("svc"))),
    "level:warning": Level("WARN"),
    "level:>=ERROR": AnyOf((Level("ERROR"), Level("FATAL"))),
    "level:>FATAL": AnyOf(()),
    "level:*R*": AnyOf((Level("TRACE"), Level("WARN"), Level("ERROR"))),
    "level:zz*": AnyOf(()),
    "level:ERROR a": AllOf((Level("ERROR"), A)),
    "level:*": Unknown(),
    "level:/R/": Unknown(),
    "timestamp:2025": Unknown(),
}

EXACT: dict[str, tuple[str, ...] | None] = {
    "Foo": ("foo",),
    '"foo!"': ("foo",),
    "a b (C a)": ("a", "b", "c"),
    '"a b"': None,
    '"..."': None,
    "message:a": None,
    "a OR b": None,
    "a NOT b": None,
    "a b*": None,
    "*": None,
}


def test_tokens_are_cut_at_ascii_punctuation_and_folded_in_ascii_only() -> None:
    """Letters, digits, underscores and everything beyond ASCII make tokens; only ASCII letters change their case."""
    assert tokens("Card-declined: user_1@É.日本 (No 7)") == ["card", "declined", "user_1", "É", "日本", "no", "7"]
    assert tokens(" .,;-\0\n") == []


@pytest.mark.parametrize("text", REQUIRED)
def test_required_tokens(text: str) -> None:
    """Each query requires just this."""
    assert required_tokens(parse(text)) == REQUIRED[text]


@pytest.mark.parametrize("text", EXACT)
def test_exact_tokens(text: str) -> None:
    """Only words joined by AND that are looked for everywhere are answered by tokens alone."""
    assert exact_tokens(parse(text)) == EXACT[text]
