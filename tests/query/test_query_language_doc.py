"""The user's page of the query language is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tailrace.errors import QueryError
from tailrace.query.lexer import DEPTH_MAX, LENGTH_MAX, TERMS_MAX
from tailrace.query.lucene import FIELD_ALIASES, parse
from tailrace.query.times import parse_time
from tailrace.query.tree import All

PAGE = (Path(__file__).parents[2] / "docs" / "query-language.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


EXAMPLES = [line for block in blocks("lucene") for line in block.splitlines()]
ERRORS = [example.strip().split("\n", 1) for block in blocks("error") for example in block.split("\n\n")]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_parse(example: str) -> None:
    """Each example is a query, and not one for everything."""
    assert parse(example) != All()


@pytest.mark.parametrize(("example", "message"), ERRORS)
def test_errors_are_as_shown(example: str, message: str) -> None:
    """Each wrong query gets the very error that the page shows."""
    with pytest.raises(QueryError) as caught:
        parse(example)
    assert str(caught.value) == message


def test_the_page_is_whole() -> None:
    """Operators, aliases, limits and forms of time are all on the page."""
    examples = "\n".join(EXAMPLES)
    for operator in (
        "AND",
        "OR",
        "NOT",
        "&&",
        "||",
        "!",
        "+",
        " -",
        "*",
        "?",
        "/",
        "[",
        "{",
        ">=",
        "_exists_",
        "\\",
        '"',
    ):
        assert operator in examples, operator
    for name, field in FIELD_ALIASES.items():
        assert re.search(rf"^\| `{field}` \|.*`{re.escape(name)}`", PAGE, re.MULTILINE), name
    for limit in (LENGTH_MAX, TERMS_MAX, DEPTH_MAX):
        assert re.search(rf"\b{limit}\b", PAGE), limit


def test_the_times_on_the_page_are_times() -> None:
    """Each form in the table of times is read."""
    table = PAGE[PAGE.index("| written | means |") : PAGE.index("The same forms serve")]
    forms = [form for row in table.strip().splitlines()[2:] for form in re.findall(r"`([^`…]+)`", row.split("|")[1])]
    assert len(forms) > 15
    for form in forms:
        parse_time(form, now_us=0)
