from __future__ import annotations

import re
import shlex
from pathlib import Path

from tailrace.query.logql.building import Builder
from tailrace.query.logql.parse import parse
from tailrace.query.logql.template_functions import FUNCTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "ingest" / "loki-query.md").read_text()
COMMANDS = [line for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def test_queries_of_the_page_are_queries() -> None:
    """Every argument of logcli that looks like one."""
    queries = [word for line in COMMANDS for word in shlex.split(line) if "{" in word]
    assert len(queries) == 3
    for query in queries:
        parse(query)


def test_the_page_names_every_operation() -> None:
    """Nobody has to guess whether there is a `stdvar`."""
    grammar = (Path(__file__).parents[2] / "src/tailrace/query/logql/grammar.lark").read_text()
    operations = re.findall(r"_OPERATION\.3: /\(([a-z_|]+)\)", grammar)
    names = [name.removesuffix("_over_time") for group in operations for name in group.split("|")]
    assert len(names) > 25
    for name in names:
        assert name in PAGE, name


def test_functions_that_the_page_calls_missing_are() -> None:
    """And nothing else is said to be missing."""
    for name in ("printf", "date", "toDate", "fromJson", "now"):
        assert name not in FUNCTIONS
    assert not hasattr(Builder, "variants")
