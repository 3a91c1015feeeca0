"""`tailrace config`: what is in force, and why."""

from __future__ import annotations

import click

from tailrace.commands.settings_options import settings_options
from tailrace.config_load import LoadedSettings, leaves, value_of


@click.group()
def config() -> None:
    """Settings: what is in force, and where it came from."""


@config.command()
@settings_options
def show(loaded: LoadedSettings) -> None:
    """Print every setting, its value, where it came from and what it does.

    The output is TOML: saved as tailrace.toml and edited, it is a settings file.
    """
    section = ""
    for leaf in leaves():
        *path, name = leaf.name.split(".")
        if ".".join(path) != section:
            section = ".".join(path)
            click.echo(f"\n[{section}]")
        value = value_of(loaded.settings, leaf.name)
        for line in (leaf.info.description or "").splitlines():
            click.echo(f"# {line.strip()}")
        origin = loaded.origins.get(leaf.name, "default")
        assignment = f"# {name} is not set" if value is None else f"{name} = {_toml(value)}"
        click.echo(f"{assignment}  # {origin}")


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(str(key))} = {_toml(entry)}" for key, entry in value.items()) + " }"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
