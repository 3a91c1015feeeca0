"""The build backend of the package: setuptools', and before it the page, so that every wheel carries it.

A source distribution carries the built page instead of its sources, so that it needs no Node.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    get_requires_for_build_editable,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

from node_finder import DASHBOARD, REQUIREMENTS, find_node
from page_build import PAGE, build_page

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

Settings = Mapping[str, Any] | None

_HAS_SOURCES = (DASHBOARD / "package.json").is_file()


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_node()]


def get_requires_for_build_sdist(config_settings: Settings = None) -> list[str]:
    return [*build_meta.get_requires_for_build_sdist(config_settings), *_node()]


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    _page()
    # setuptools would put in what an earlier build has left there under other names.
    shutil.rmtree(DASHBOARD.parent / "build" / "lib" / "tailrace" / "dashboard", ignore_errors=True)
    return str(build_meta.build_wheel(wheel_directory, config_settings, metadata_directory))


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    _page()
    return str(build_meta.build_sdist(sdist_directory, config_settings))


def _node() -> list[str]:
    """The package with Node in it, where it is needed and there is none: the builder puts it beside setuptools."""
    if not _HAS_SOURCES or find_node() is not None:
        return []
    lines = (line.strip() for line in REQUIREMENTS.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _page() -> None:
    if _HAS_SOURCES:
        build_page()
    elif not (PAGE / "index.html").is_file():
        raise SystemExit(f"{PAGE}: neither the built dashboard nor its sources are here")
