from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tailrace.query.logql.building import Builder
from tailrace.query.logql.parse import parse
from tailrace.query.logql.template_functions import FUNCTIONS
from tests.serve.test_loki_clients import LOGCLI, needs_logcli, server  # noqa: F401
from tests.server import Server

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


@pytest.mark.slow
@needs_logcli
@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("logcli") and "--tail" not in line])
def test_the_commands_of_the_page_run(server: Server, command: str) -> None:  # noqa: F811
    """With the real client, against a real server."""
    assert LOGCLI is not None
    _, *arguments = shlex.split(command)
    subprocess.run([LOGCLI, f"--addr={server.url}", *arguments], check=True, capture_output=True, timeout=60)
