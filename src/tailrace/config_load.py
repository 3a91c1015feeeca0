"""How a settings file, the environment and flags become one `Settings` tree, and where each value came from.

Later wins: default, then the TOML file, then the environment, then flags. A leaf has one name everywhere:
`worker.flush_rows` on the command line (`--set worker.flush_rows=…`) and in TOML (`flush_rows` under `[lake]`),
`TAILRACE_WORKER_FLUSH_ROWS` in the environment.
"""

from __future__ import annotations

import difflib
import json
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from tailrace.config import Settings
from tailrace.errors import Stop

ENVIRONMENT_PREFIX = "TAILRACE_"
CLIENT_VARIABLES = frozenset({"TAILRACE_CONFIG", "TAILRACE_URL"})
"""Read by commands themselves; they are not settings of the server."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting: its dotted name, and how it is declared."""

    name: str
    info: FieldInfo

    @property
    def variable(self) -> str:
        return ENVIRONMENT_PREFIX + self.name.replace(".", "_").upper()


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """`origins` says for each leaf that was given where it came from; the others have their defaults."""

    settings: Settings
    origins: Mapping[str, str]


def leaves(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[Leaf]:
    """Every setting there is, in the order of declaration."""
    for name, info in model.model_fields.items():
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from leaves(annotation, f"{prefix}{name}.")
        else:
            yield Leaf(prefix + name, info)


def load_settings(file: Path | None, environment: Mapping[str, str], flags: Mapping[str, str]) -> LoadedSettings:
    """Merge and check. `flags` maps dotted names to text.

    Raises `Stop` naming every unknown or wrong setting, its value, where it came from and what was expected.
    """
    known = {leaf.name: leaf for leaf in leaves()}
    given: dict[str, tuple[object, str]] = {}
    problems: list[str] = []

    for name, value in _file_values(file, known):
        given[name] = (value, f"file {file}")
    by_variable = {leaf.variable: leaf.name for leaf in known.values()}
    for variable, text in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in CLIENT_VARIABLES:
            continue
        name = by_variable.get(variable, variable)
        given[name] = (text, f"environment variable {variable}")
    for name, text in flags.items():
        given[name] = (text, "command line")

    tree: dict[str, Any] = {}
    for name, (value, origin) in given.items():
        if name not in known:
            problems.append(_unknown(name, value, origin, known, by_variable))
            continue
        *path, last = name.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[last] = _from_text(value, known[name].info) if isinstance(value, str) else value
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        problems.extend(_wrong(error, given))
    if problems:
        raise Stop("the settings are wrong:\n  " + "\n  ".join(problems))
    return LoadedSettings(settings, {name: origin for name, (_, origin) in given.items()})


def value_of(settings: Settings, name: str) -> object:
    value: object = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _file_values(file: Path | None, known: Mapping[str, Leaf]) -> Iterator[tuple[str, object]]:
    if file is None:
        return
    try:
        tree = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Stop(f"the settings file {file} cannot be read: {error}") from error

    def walk(branch: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
        for key, value in branch.items():
            name = prefix + key
            if isinstance(value, dict) and name not in known:
                yield from walk(value, name + ".")
            else:
                yield name, value

    yield from walk(tree, "")


def _from_text(text: str, info: FieldInfo) -> object:
    """Tables are written as JSON where only text can be given; pydantic turns the rest of the text into numbers."""
    origin = typing.get_origin(info.annotation)
    arguments = typing.get_args(info.annotation) if origin in (types.UnionType, typing.Union) else (info.annotation,)
    if any(typing.get_origin(argument) in (dict, tuple) for argument in arguments):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _unknown(name: str, value: object, origin: str, known: Mapping[str, Leaf], by_variable: Mapping[str, str]) -> str:
    names = list(by_variable) if name.startswith(ENVIRONMENT_PREFIX) else list(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {close[0]}?" if close else "; `tailrace config show` lists all settings"
    return f"{name} = {value!r} ({origin}): there is no such setting{hint}"


def _wrong(error: ValidationError, given: Mapping[str, tuple[object, str]]) -> Iterator[str]:
    for detail in error.errors(include_url=False):
        path = [str(part) for part in detail["loc"]]
        # The error may lie inside a table that is one setting: find the setting it belongs to.
        name = next((n for n in (".".join(path[:i]) for i in range(len(path), 0, -1)) if n in given), ".".join(path))
        value, origin = given.get(name, (detail.get("input"), "default"))
        yield f"{name} = {value!r} ({origin}): {detail['msg']}"
