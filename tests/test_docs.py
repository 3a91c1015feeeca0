"""The documentation is held to the program."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import click
import pytest
from prometheus_client.metrics import MetricWrapperBase

from tailrace.cli import main
from tailrace.config import Settings
from tailrace.config_load import leaves, value_of
from tailrace.ingest.fields import LEVEL_NAMES, TEXT_NAMES, TIMESTAMP_NAMES
from tailrace.ops.metrics import Metrics

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def test_every_setting_has_its_line_with_its_default() -> None:
    """`docs/configuration.md` names each setting beside the default that is in force."""
    lines = (DOCS / "configuration.md").read_text().splitlines()
    defaults = Settings()
    for leaf in leaves():
        row = next((line for line in lines if line.startswith(f"| `{leaf.name}` |")), None)
        assert row is not None, f"{leaf.name} has no line"
        value = value_of(defaults, leaf.name)
        shown = "–" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        assert f"| `{shown}` |" in row, f"{leaf.name}: the default is {shown}: {row}"


def test_no_setting_is_documented_that_does_not_exist() -> None:
    """A setting that was removed leaves the page too."""
    documented = re.findall(r"^\| `([a-z_.]+)` \|", (DOCS / "configuration.md").read_text(), re.MULTILINE)
    assert set(documented) == {leaf.name for leaf in leaves()}


def test_every_metric_has_its_line() -> None:
    """`docs/operations.md` names each metric, and none that is not there."""
    declared = {
        metric._name + ("_total" if metric._type == "counter" else "")
        for metric in vars(Metrics()).values()
        if isinstance(metric, MetricWrapperBase)
    }
    documented = set(re.findall(r"^\| `(tailrace_[a-z_]+)", (DOCS / "operations.md").read_text(), re.MULTILINE))
    assert documented == declared


def test_every_name_of_a_field_has_its_place() -> None:
    """`docs/events.md` lists the names of each column in the order in which they win."""
    lines = (DOCS / "events.md").read_text().splitlines()
    for column, names in {"timestamp": TIMESTAMP_NAMES, "level": LEVEL_NAMES, **TEXT_NAMES}.items():
        row = next(line for line in lines if line.startswith(f"| `{column}` | `"))
        assert tuple(re.findall(r"`([^`]+)`", row))[1:] == tuple(names)


def _commands(group: click.Group, prefix: str = "tailrace") -> list[tuple[str, click.Command]]:
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found += _commands(command, f"{prefix} {name}")
        else:
            found.append((f"{prefix} {name}", command))
    return found


def test_every_command_and_option_is_documented() -> None:
    """`docs/cli.md`, or the page of `tailrace send` or `spark`, names each command and each of its options."""
    text = "".join((DOCS / page).read_text() for page in ("cli.md", "send.md", "spark.md"))
    for name, command in _commands(main):
        assert name in text, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                long = next(option for option in parameter.opts if option.startswith("--"))
                assert long in text, f"{name} {long}"


def test_every_command_has_a_help_worth_reading() -> None:
    """Each command and each option says what it does."""
    for name, command in _commands(main):
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.name}"


def test_every_dependency_is_justified() -> None:
    """`docs/dependencies.md` has a line for each dependency of the package, and no other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[>=\[]", line)[0] for line in project["dependencies"]}
    text = (DOCS / "dependencies.md").read_text()
    documented = set(re.findall(r"^\| ([a-z][a-z0-9-]+) \|", text, re.MULTILINE)) - {"package"}
    assert documented == declared
    for line in project["optional-dependencies"]["dev"]:
        assert re.split(r"[>=\[]", line)[0] in text


def test_every_package_of_the_dashboard_is_justified() -> None:
    """`docs/dependencies.md` has a line for each package of `dashboard/package.json`, and no other."""
    package = json.loads((ROOT / "dashboard" / "package.json").read_text())
    text = (DOCS / "dependencies.md").read_text()
    documented = re.findall(r"^\| `([a-z@/-]+)` \| \S", text, re.MULTILINE)
    assert sorted(documented) == sorted([*package["dependencies"], *package["devDependencies"]])


@pytest.mark.parametrize("page", sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")]), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link in the documentation names a file that is there."""
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
