"""The parser: what each piece of syntax means, and where each mistake is."""

from __future__ import annotations

import threading

import pytest

from tailrace.errors import QueryError
from tailrace.query.lexer import DEPTH_MAX, LENGTH_MAX, TERMS_MAX
from tailrace.query.lucene import parse
from tailrace.query.tree import All, And, Exists, Node, Not, Or, Phrase, Range, Regex, Wildcard


def anywhere(text: str) -> Phrase:
    return Phrase(None, text)


A, B, C, D = map(anywhere, "abcd")

MEANINGS: dict[str, Node] = {
    # everything
    "": All(),
    "  \n ": All(),
    "*": All(),
    "**": All(),
    "*:*": All(),
    "*:foo": anywhere("foo"),
    "(*)": All(),
    "* AND a": A,
    "* OR a": All(),
    "NOT *": Not(All()),
    # terms and phrases
    "declined": anywhere("declined"),
    "pay-service": anywhere("pay-service"),
    "level=ERROR": anywhere("level=ERROR"),
    "don't": anywhere("don't"),
    "a/b": anywhere("a/b"),
    "TO": anywhere("TO"),
    "and": anywhere("and"),
    "日本": anywhere("日本"),
    '"card declined"': anywhere("card declined"),
    r'"say \"hi\" \\ now"': anywhere(r'say "hi" \ now'),
    '"a AND (b"': anywhere("a AND (b"),
    '"pay*"': anywhere("pay*"),
    r"a\:b\ c\*": anywhere("a:b c*"),
    r"\AND": anywhere("AND"),
    r"\-a": anywhere("-a"),
    # wildcards and regexes
    "pay*": Wildcard(None, "pay*"),
    "te?t": Wildcard(None, "te?t"),
    "*foo*": Wildcard(None, "*foo*"),
    r"a\*b*\:": Wildcard(None, r"a\*b*:"),
    "?": Wildcard(None, "?"),
    "/ca.d/": Regex(None, "ca.d"),
    r"/a\/b\\/": Regex(None, r"a/b\\"),
    "/a b/": Regex(None, "a b"),
    "message:/^a/": Regex("message", "^a"),
    # AND, OR, NOT
    "a b": And((A, B)),
    "a AND b": And((A, B)),
    "a && b": And((A, B)),
    "a &&b": And((A, B)),
    "a b AND c": And((A, B, C)),
    "(a b) AND (c)": And((A, B, C)),
    "a OR b": Or((A, B)),
    "a || b": Or((A, B)),
    "a OR (b OR c)": Or((A, B, C)),
    "a AND b OR c": Or((And((A, B)), C)),
    "a OR b AND c": Or((A, And((B, C)))),
    "a b OR c d": Or((And((A, B)), And((C, D)))),
    "a OR b c": Or((A, And((B, C)))),
    "a OR b -c d": Or((A, And((B, Not(C), D)))),
    "a (b OR c)": And((A, Or((B, C)))),
    "NOT a": Not(A),
    "!a": Not(A),
    "-a": Not(A),
    "+a": A,
    "+a -b": And((A, Not(B))),
    "a NOT b": And((A, Not(B))),
    "a AND NOT b": And((A, Not(B))),
    "NOT a b": And((Not(A), B)),
    "NOT NOT a": A,
    "NOT (a OR b)": Not(Or((A, B))),
    '"a""b"': And((A, B)),
    # fields
    "service:pay": Phrase("service", "pay"),
    "service: pay": Phrase("service", "pay"),
    'service:"pay svc"': Phrase("service", "pay svc"),
    'service:""': Phrase("service", ""),
    "service:pay*": Wildcard("service", "pay*"),
    "service:(a OR b)": Or((Phrase("service", "a"), Phrase("service", "b"))),
    "service:(a -b)": And((Phrase("service", "a"), Not(Phrase("service", "b")))),
    "service:(a OR host:b)": Or((Phrase("service", "a"), Phrase("host", "b"))),
    "service:NOT a": Not(Phrase("service", "a")),
    "-service:a": Not(Phrase("service", "a")),
    "http.request.method:GET": Phrase("http.request.method", "GET"),
    r"my\ field:x": Phrase("my field", "x"),
    "attributes.user:x": Phrase("user", "x"),
    "attributes.level:x": Phrase("attributes.level", "x"),
    "host:fe80::1": Phrase("host", "fe80::1"),
    "at:10:00:00": Phrase("at", "10:00:00"),
    "url:https\\:\\/\\/x": Phrase("url", "https://x"),
    "x:-5": Phrase("x", "-5"),
    "x:+5": Phrase("x", "+5"),
    "x:*": Exists("x"),
    "_exists_:x": Exists("x"),
    "_exists_:@timestamp": Exists("timestamp"),
    "NOT x:*": Not(Exists("x")),
    "level:warning": Phrase("level", "warning"),
    # aliases
    "@timestamp:2025": Phrase("timestamp", "2025"),
    "severity:ERROR": Phrase("level", "ERROR"),
    "log.level:ERROR": Phrase("level", "ERROR"),
    "msg:x": Phrase("message", "x"),
    "service.name:x": Phrase("service", "x"),
    "host.name:x": Phrase("host", "x"),
    "hostname:x": Phrase("host", "x"),
    "traceId:x": Phrase("trace_id", "x"),
    "trace.id:x": Phrase("trace_id", "x"),
    "spanId:x": Phrase("span_id", "x"),
    # ranges
    "x:[1 TO 5]": Range("x", "1", "5"),
    "x:{1 TO 5}": Range("x", "1", "5", False, False),
    "x:[1 TO 5}": Range("x", "1", "5", True, False),
    "x:{-5 TO -1.5]": Range("x", "-5", "-1.5", False, True),
    "x:[* TO 5]": Range("x", None, "5"),
    "x:[1 TO *}": Range("x", "1", None, True, False),
    "x:[* TO *]": Exists("x"),
    'x:["a b" TO "c d"]': Range("x", "a b", "c d"),
    "x:>250": Range("x", "250", None, include_low=False),
    "x:>=250": Range("x", "250", None),
    "x:<5": Range("x", None, "5", include_high=False),
    "x:<=-5": Range("x", None, "-5"),
    'x:>"a b"': Range("x", "a b", None, include_low=False),
    "x:(>5 AND <9)": And((Range("x", "5", None, include_low=False), Range("x", None, "9", include_high=False))),
    "x:([1 TO 2] OR (>5))": Or((Range("x", "1", "2"), Range("x", "5", None, include_low=False))),
    "level:>=warn": Range("level", "warn", None),
    "timestamp:[2025-03-28T08:00:00 TO 2025-03-28T11:00:00+02:00]": Range(
        "timestamp", "2025-03-28T08:00:00", "2025-03-28T11:00:00+02:00"
    ),
    "timestamp:>=15m": Range("timestamp", "15m", None),
    "timestamp:2025-03-28T10:00": Phrase("timestamp", "2025-03-28T10:00"),
    'timestamp:["yesterday 14:00" TO now]': Range("timestamp", "yesterday 14:00", "now"),
}

# Each query with the column of its mistake and words that the message must have.
MISTAKES: dict[str, tuple[int, str]] = {
    "(a": (1, "never closed"),
    "a AND (b OR c": (7, "never closed"),
    "a)": (2, "nothing is open"),
    "()": (1, "nothing between"),
    "x:()": (3, "nothing between"),
    'a "b': (3, "never closed"),
    r'"a\"': (1, "never closed"),
    'a"b"': (2, "quote within a word"),
    "a AND": (3, "a term must follow 'AND'"),
    "a && ": (3, "a term must follow '&&'"),
    "a AND OR b": (3, "a term must follow 'AND'"),
    "(a OR) b": (4, "a term must follow 'OR'"),
    "AND a": (1, "a term must stand before 'AND'"),
    "a (OR b)": (4, "a term must stand before 'OR'"),
    "NOT": (1, "a term must follow 'NOT'"),
    "a NOT AND b": (3, "a term must follow 'NOT'"),
    "a - b": (3, "right before a term"),
    "wow !": (5, "right before a term"),
    "a +": (3, "right before a term"),
    "service:": (8, "no value"),
    "service: AND a": (8, "no value"),
    "(service:)": (9, "no value"),
    ":a": (1, "field name must stand before"),
    '"a":b': (4, "without quotes"),
    "12:30:45": (1, "'12' is not a field name"),
    "ser*:a": (1, "no wildcard"),
    "_exists_:(a b)": (1, "name of one field"),
    '_exists_:"a"': (1, "name of one field"),
    "a~": (2, "wildcards"),
    "a~2": (2, "wildcards"),
    '"a b"~2': (6, "proximity"),
    "a^2": (2, "boosting"),
    "(a b)^2": (6, "boosting"),
    "http://a/b": (6, "slash in quotes"),
    "/var/log/x": (1, "slash in quotes"),
    "/a": (1, "never closed"),
    "x://": (3, "empty"),
    "/(/": (1, "RE2"),
    "a x:/(?=b)/": (5, "RE2"),
    "/(?<name>a)/": (1, "(?P<name>"),
    "/a{2000}/": (1, "RE2"),
    "a[0]": (2, "within a word"),
    "main()": (5, "within a word"),
    "[1 TO 2]": (1, "needs a field"),
    "]": (1, "no range is open"),
    "}": (1, "'}' could close"),
    "x:[1 TO 2": (3, "never closed"),
    "x:[1": (3, "never closed"),
    "x:[1 2]": (6, "TO is missing"),
    "x:[TO 2]": (4, "lower bound"),
    "x:[]": (4, "lower bound"),
    "x:[1 TO ]": (9, "upper bound"),
    "x:[1 TO": (8, "upper bound"),
    "x:[1 TO 2 3]": (11, "']' or '}' is missing"),
    "x:[a* TO b]": (4, "no wildcard"),
    "x:[5 TO 1]": (3, "above the upper"),
    "x:[b TO a]": (3, "above the upper"),
    "level:[ERROR TO INFO]": (7, "above the upper"),
    "timestamp:[2025 TO 2024]": (11, "above the upper"),
    ">5": (1, "needs a field"),
    "x:(a) >5": (7, "needs a field"),
    "x:(a) [1 TO 2]": (7, "needs a field"),
    "a x:(>)": (7, "a value must follow"),
    "x:>": (3, "a value must follow"),
    "x:> )": (5, "a value must follow"),
    "x:>*": (4, "needs a value"),
    "message:>a": (9, "takes no range"),
    "level:loud": (7, "is not a level"),
    "level:[INFO TO loud]": (16, "is not a level"),
    "level:>loud": (7, "is not a level"),
    "timestamp:soon": (11, "accepted: 2025"),
    "timestamp:2025-02-30": (11, "is not a time"),
    "timestamp:[2025 TO soon]": (20, "accepted: 2025"),
    "timestamp:2025*": (11, "a range"),
    "timestamp:/2025/": (11, "a range"),
    '""': (1, "empty"),
    'message:""': (9, "empty"),
    "a\\": (2, "nothing follows the backslash"),
    "\\": (1, "nothing follows the backslash"),
    "a \ud800": (3, "not a character"),
    "(" * (DEPTH_MAX + 1) + "a" + ")" * (DEPTH_MAX + 1): (DEPTH_MAX + 1, "deep"),
    "!" * (DEPTH_MAX + 1) + "a": (DEPTH_MAX + 1, "deep"),
    "-(" * DEPTH_MAX + "a" + ")" * DEPTH_MAX: (DEPTH_MAX + 1, "deep"),
    "a " * (TERMS_MAX + 1): (2 * TERMS_MAX + 1, "terms"),
    "a" * (LENGTH_MAX + 1): (LENGTH_MAX + 1, "characters"),
}


@pytest.mark.parametrize("text", MEANINGS)
def test_syntax_has_its_meaning(text: str) -> None:
    """Each piece of syntax gives just this tree."""
    assert parse(text) == MEANINGS[text]


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_are_named_with_their_column(text: str) -> None:
    """Each mistake is a QueryError that points at the wrong part and says what is wrong with it."""
    column, words = MISTAKES[text]
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert (caught.value.column, words in str(caught.value)) == (column, True), str(caught.value)


def test_the_largest_queries_parse() -> None:
    """As many terms and as much nesting as the limits allow are no error."""
    assert parse("a OR " * (TERMS_MAX - 1) + "a")
    assert parse("(" * DEPTH_MAX + "a" + ")" * DEPTH_MAX) == A
    assert parse("-(" * (DEPTH_MAX // 2) + "a" + ")" * (DEPTH_MAX // 2))
    assert parse("a b OR " * (TERMS_MAX // 2 - 1) + "a")
    assert parse('"' + "x" * (LENGTH_MAX - 2) + '"')


def test_threads_do_not_disturb_each_other() -> None:
    """Many threads that parse good and bad queries at once get what one thread gets alone."""
    texts = [*list(MEANINGS)[:60], *list(MISTAKES)[:40]]

    def outcome(text: str) -> object:
        try:
            return parse(text)
        except QueryError as error:
            return str(error)

    alone = [outcome(text) for text in texts]
    together: list[list[object]] = []
    threads = [threading.Thread(target=lambda: together.append([outcome(text) for text in texts])) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [alone] * 6
