"""Queries and events that are likely to meet: both are made from one small and nasty vocabulary."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tailrace.model.batch import LEVELS
from tailrace.query.tree import All, And, Exists, Node, Not, Or, Phrase, Range, Regex, Wildcard

NOW_US = 1_743_156_000_000_000
"""2025-03-28T10:00:00Z."""
NOW = datetime(2025, 3, 28, 10, tzinfo=UTC)

WORDS = (
    *("a", "A", "b", "ab", "pay", "Pay", "PAY", "card", "CaRd", "declined", "zoo", "k", "K", "s", "i", "fi", "x_1"),
    *("blk_1073", "12345", "7", "deadBEEF", "4bf92f3577", "_", "error", "WARN"),
    # What folds to ASCII, or away from it, in Unicode but not here: Kelvin, long s, dotless i, dotted I, ligature.
    *(
        "\u212a",
        "\u017f",
        "\u0131",
        "\u0130",
        "\ufb01",
        "pa\u212a",
        "É",
        "é",
        "ß",
        "ẞ",
        "Σ",
        "ς",
        "σ",
        "日本",
        "😀",
        "\u0301",
    ),
)
GAPS = (
    *(
        " ",
        "  ",
        "-",
        ".",
        "/",
        ":",
        ", ",
        "'",
        '"',
        "''",
        "\\",
        "\\'",
        "%",
        "*",
        "?",
        "(",
        "[",
        "^",
        "$",
        "|",
        ";--",
    ),
    *("\0", "\n", "\r\n", "\t", "\x1f", "\x7f", "{}", "${x}", "chr(0)", "E'", "$$", "\u0000'"),
)
NUMBERS = (
    "0",
    "7",
    "-7",
    "+7",
    "7.0",
    "7.5",
    "007",
    "1e2",
    "100",
    "1e999",
    "-1e999",
    ".5",
    "5.",
    "1e-400",
    "12345678901234567890",
)
NOT_NUMBERS = (" 7", "7 ", "1_0", "inf", "nan", "0x10", "7a", "e5", "", "٧", "1e", ".", "+", "7\n")
ATTRIBUTES = ("latency_ms", "http.path", "a'b", "k", "K", 'q"', "\0", "日本", "x]", "level")
TIMES = (
    *("2025", "2025-03", "2025-03-28", "2025-03-28T10", "2025-03-28T09:45", "2025-03-28 10:00:00.5Z"),
    *(
        "2025-03-28T12:00+02:00",
        "1743156000",
        "1743156000123",
        "now",
        "today",
        "yesterday",
        "15m",
        "1d ago",
        "now-2h",
    ),
    *("yesterday 14:00", "9999-12-31", "0001"),
)
LEVEL_NAMES = ("ERROR", "error", "warning", "Info", "critical", "debug", "trace", "3")
REGEXES = (
    "a",
    "^a",
    "b$",
    "[0-9]+",
    "(?i)pay",
    "ca.d",
    r"\d{2,}",
    "pay|card",
    "",
    "^$",
    r"\.",
    "'",
    "a b",
    "k",
    "é",
    r"\*",
)

LOOKALIKES = str.maketrans({"k": "\u212a", "K": "\u212a", "s": "\u017f", "i": "\u0131", "I": "\u0130", "É": "é"})
"""What Unicode folds to the same letter, and we do not."""


def variants(word: str) -> tuple[str, ...]:
    """The word, and what is easily taken for it."""
    return (word, word.upper(), word.lower(), word.swapcase(), word.translate(LOOKALIKES), f"x{word}", f"{word}1")


# One example draws from few words, the same in its queries and its events, or they would seldom meet.
words = st.shared(st.lists(st.sampled_from(WORDS), min_size=1, max_size=2), key="vocabulary").flatmap(
    lambda seeds: st.sampled_from([variant for seed in seeds for variant in variants(seed)])
)
gaps = st.sampled_from(GAPS)
texts = st.lists(words | gaps | st.just(" "), max_size=6).map("".join) | st.text(max_size=5)
values = texts | words | st.sampled_from(NUMBERS + NOT_NUMBERS)
attributes = st.sampled_from(ATTRIBUTES)
times = st.integers(-3 * 86_400_000_000, 86_400_000_000).map(
    lambda us: NOW + timedelta(microseconds=us)
) | st.sampled_from(
    (NOW, NOW - timedelta(minutes=15), NOW - timedelta(microseconds=1), datetime(2025, 3, 28, tzinfo=UTC))
)


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """One event as `batch_of_rows` takes it, without an identity."""
    held = draw(st.dictionaries(attributes, st.none() | values, max_size=3))
    return {
        "timestamp": draw(times),
        "observed_timestamp": draw(times),
        "level": draw(st.none() | st.sampled_from(LEVELS)),
        "service": draw(st.none() | values),
        "host": draw(st.none() | values),
        "message": draw(texts),
        "trace_id": draw(st.none() | values),
        "span_id": draw(st.none() | values),
        "attributes": list(held.items()),
    }


text_fields = st.sampled_from((None, None, "message"))
value_fields = st.one_of(
    st.sampled_from(("service", "host", "trace_id", "span_id")),
    attributes.filter(lambda name: name != "level"),  # by this name it is the column
    attributes.map("attributes.{}".format),
)
time_fields = st.sampled_from(("timestamp", "observed_timestamp"))
patterns = st.lists(
    words | gaps | st.sampled_from(("*", "?", "\\*", "\\?", "\\\\", "\\")), min_size=1, max_size=5
).map("".join)


def _ranges(fields: SearchStrategy[str], bounds: SearchStrategy[str]) -> SearchStrategy[Range]:
    bound = st.none() | bounds
    return st.builds(Range, fields, bound, bound, st.booleans(), st.booleans())


fields_of_column = st.just("level") | value_fields
leaves: SearchStrategy[Node] = st.one_of(
    st.just(All()),
    st.builds(Phrase, text_fields, texts),
    st.builds(Phrase, value_fields, values),
    st.builds(Phrase, st.just("level"), st.sampled_from(LEVEL_NAMES)),
    st.builds(Phrase, time_fields, st.sampled_from(TIMES)),
    st.builds(Wildcard, text_fields | fields_of_column, patterns),
    st.builds(Wildcard, st.just("level"), st.sampled_from(("*", "E*", "warn", "?n*", "*r*"))),
    st.builds(Regex, text_fields | fields_of_column, st.sampled_from(REGEXES)),
    _ranges(st.just("level"), st.sampled_from(LEVEL_NAMES)),
    _ranges(time_fields, st.sampled_from(TIMES)),
    _ranges(value_fields, st.sampled_from(NUMBERS)),
    _ranges(value_fields, values),
    st.builds(Exists, text_fields.map(lambda field: field or "timestamp") | fields_of_column),
)


def _branches(inner: SearchStrategy[Node]) -> SearchStrategy[Node]:
    parts = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(st.builds(And, parts), st.builds(Or, parts), st.builds(Not, inner))


nodes: SearchStrategy[Node] = st.recursive(leaves, _branches, max_leaves=6)
"""Trees of every kind of node that every engine can answer."""
