from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tailrace.errors import QueryError
from tailrace.query.logql.line_pattern import captured, fits, line_pattern
from tailrace.query.logql.regexes import all_captures, captures
from tailrace.query.logql.template import Row, template
from tailrace.query.logql.values import bytes_of, duration_ns_of, number_of, number_text, printed, unquoted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1m30s", 90_000_000_000),
        ("-1.5s", -1_500_000_000),
        ("0", 0),
        ("5", None),
        ("1d", None),
        ("s", None),
        ("", None),
        ("1" * 5000 + "s", None),
        ("1" * 5000, None),
        ("292471209h", None),
    ],
)
def test_durations_are_those_of_go(text: str, expected: int | None) -> None:
    """Days are none, but in a query."""
    assert duration_ns_of(text) == expected
    assert duration_ns_of("1d", calendar=True) == 86_400_000_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5KB", 5000),
        ("1.5 MiB", 1_572_864),
        ("42", 42),
        ("7b", 7),
        ("2k", 2000),
        ("x", None),
        ("1XB", None),
        ("9" * 400, None),
    ],
)
def test_sizes_are_powers_of_ten_or_of_two(text: str, expected: float | None) -> None:
    """`KB` is 1000 bytes, `KiB` is 1024."""
    assert bytes_of(text) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.0, "2"),
        (0.1, "0.1"),
        (-0.5, "-0.5"),
        (1e21, "1000000000000000000000"),
        (123456789012.0, "123456789012"),
        (1.5e-7, "0.00000015"),
        (1e-9, "0.000000001"),
        (math.inf, "+Inf"),
        (math.nan, "NaN"),
    ],
)
def test_numbers_are_written_as_prometheus_writes_them(value: float, text: str) -> None:
    """And are the same when they are read."""
    assert number_text(value) == text
    read = number_of(text)
    assert read is not None
    assert read == value or (math.isnan(read) and math.isnan(value))


@pytest.mark.parametrize("read", [number_of, bytes_of, duration_ns_of])
def test_a_long_value_that_is_none_is_seen_at_once(read: Callable[[str], float | None]) -> None:
    """Anybody may send a megabyte of digits, and the queries of others must go on meanwhile."""
    assert read("1" * 1_000_000 + "?") is None
    assert number_of("1e400") is None


def test_templates_print_numbers_as_go_does() -> None:
    """With an exponent where they are very large or very small."""
    assert [printed(value) for value in (2.0, 1e20, 1e21, 2.5e-5, 0.0001)] == [
        "2",
        "100000000000000000000",
        "1e+21",
        "2.5e-05",
        "0.0001",
    ]


def test_a_text_is_read_as_go_reads_it() -> None:
    """Escapes between quotes, none between backquotes."""
    assert unquoted(r'"a\n\"\x41\u00e9\101"') == 'a\n"AéA'
    assert unquoted(r"`a\n`") == r"a\n"
    assert unquoted(r'"\q"') is None


def test_groups_within_a_class_of_characters_are_none() -> None:
    """Names are taken from groups, not from what looks like one."""
    assert captures(r"(a)(?P<x>b)[(?P<y>c)]\((?:d)") == (r"(?:a)(?P<x>b)[(?P<y>c)]\((?:d)", ("x",))
    assert all_captures(r"(a)(?P<x>b)") == ("(?P<g1>a)(?P<g2>b)", ("1", "x"))


def test_a_pattern_takes_what_lies_between_its_texts() -> None:
    """A capture whose end is missing takes the rest, and those behind it nothing."""
    pattern = line_pattern("<ip> - <_> [<time>] <rest>", names=True)
    assert captured(pattern, "1.2.3.4 - x [now] a b") == [("ip", "1.2.3.4"), ("time", "now"), ("rest", "a b")]
    assert captured(pattern, "1.2.3.4 - x") == [("ip", "1.2.3.4")]
    filter_ = line_pattern("<_>took <_>ms", names=False)
    assert [fits(filter_, line) for line in ("it took 5ms", "took 5ms", "it took 5ms!", "it took ms")] == [
        True,
        False,
        False,
        False,
    ]


def test_a_template_that_is_none_says_what_is_not_supported() -> None:
    """By its name."""
    for text, reason in (("{{ range .x }}", "range"), ("{{ .a.b }}", "no fields"), ("{{ x", "unclosed")):
        with pytest.raises(QueryError, match=reason):
            template(text)
    assert template("{{ if .a }}{{ .b | lower }}{{ end }}").labels == {"a", "b"}


def test_a_function_that_fails_is_a_value_error() -> None:
    """The line gets an error label; nothing else stops."""
    row = Row({"a": "x"}, "line", 0)
    for text in ("{{ div 1 0 }}", "{{ and }}", "{{ duration .a }}", '{{ regexReplaceAll "(" .a "" }}', "{{ len 5 }}"):
        with pytest.raises(ValueError, match=r"."):
            template(text).render(row)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{{ regexReplaceAll "([a-z])(?P<n>[0-9]+)" .a "<$2-${n}-$0-$$-$7>" }}', "<1-1-x1-$-><22-22-y22-$->z"),
        ('{{ regexReplaceAll "x*" .a "-" }}', "-1-y-2-2-z-"),
        (r'{{ regexReplaceAll "z" .a `\0` }}', r"x1y22\0"),
        (r'{{ regexReplaceAllLiteral "z" .a `\0$0` }}', r"x1y22\0$0"),
        ('{{ count "[0-9]" .a }} {{ count "" .a }}', "3 7"),
    ],
)
def test_regexes_of_templates_replace_as_those_of_go_do(text: str, expected: str) -> None:
    """Groups by number and name, `$$`, empty matches; and what RE2 itself would take for a group is none."""
    assert template(text).render(Row({"a": "x1y22z"}, "line", 0)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{{ indent 100000 .lines }}",
        '{{ replace "a" (repeat 100000 "b") .many }}',
        '{{ regexReplaceAll "a" .many .many }}',
        "{{ .many" + " | b64enc" * 100 + " }}",
        '{{ repeat 600000 "x" }}{{ repeat 600000 "x" }}',
    ],
)
def test_what_would_be_too_long_is_not_made(text: str) -> None:
    """A line's text is bounded at each step, so that no template fills the memory."""
    with pytest.raises(ValueError, match="longer than"):
        template(text).render(Row({"lines": "\n" * 100_000, "many": "a" * 100_000}, "line", 0))


def test_a_regex_of_a_template_may_come_from_a_line() -> None:
    """Whatever it is, and however often it matches, it takes no longer than its length."""
    row = Row({"open": "[" * 100_000, "many": "a" * 100_000}, "line", 0)
    assert template('{{ regexReplaceAll "a" .many "b" }}').render(row) == "b" * 100_000
    with pytest.raises(ValueError, match="missing"):
        template('{{ regexReplaceAll .open "a" "b" }}').render(row)


def test_a_long_pipeline_of_a_template_is_an_error_of_the_line() -> None:
    """Each function waits for the one before it."""
    with pytest.raises(ValueError, match="recursion"):
        template("{{ .a" + " | lower" * 5_000 + " }}").render(Row({"a": "x"}, "line", 0))
