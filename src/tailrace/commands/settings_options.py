"""The options by which every server-side command is given its settings."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import click

from tailrace.config_load import LoadedSettings, load_settings

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_FILE = Path("tailrace.toml")


def settings_options(command: Callable[Concatenate[LoadedSettings, P], R]) -> Callable[..., R]:
    """Adds --config, --data, --listen, --store and --set; calls the command with the settings that follow."""

    @click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="TAILRACE_CONFIG",
        help=f"Settings in TOML.  [default: {DEFAULT_FILE}, when there is one]",
    )
    @click.option("--data", metavar="DIR", help="Folder that holds everything on disk.  [default: data]")
    @click.option("--listen", metavar="HOST:PORT", help="HTTP address.  [default: 127.0.0.1:8001]")
    @click.option(
        "--store",
        "stores",
        metavar="URL",
        multiple=True,
        help="Where events are kept; give it again for another. The first that can search answers queries: lake, "
        "s3://BUCKET/PATH, hdfs://HOST:PORT/PATH, elasticsearch://HOST:PORT/NAME, jsonl.  [default: lake]",
    )
    @click.option(
        "--set",
        "assignments",
        metavar="NAME=VALUE",
        multiple=True,
        help="Any other setting, such as worker.flush_rows=100000. `tailrace config show` lists them.",
    )
    @wraps(command)
    def with_settings(
        config_file: Path | None,
        data: str | None,
        listen: str | None,
        stores: tuple[str, ...],
        assignments: tuple[str, ...],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        flags = {}
        for assignment in assignments:
            name, equals, value = assignment.partition("=")
            if not equals:
                raise click.BadParameter(f"{assignment!r} is not NAME=VALUE", param_hint="--set")
            flags[name.strip()] = value.strip()
        flags |= {name: value for name, value in (("data", data), ("listen", listen)) if value is not None}
        if stores:
            flags["stores"] = json.dumps(stores)
        if config_file is None and DEFAULT_FILE.exists():
            config_file = DEFAULT_FILE
        return command(load_settings(config_file, os.environ, flags), *args, **kwargs)

    return with_settings
