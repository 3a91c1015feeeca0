"""The page, built from the sources in this folder into the package, where the server finds it.

Nothing is done twice: beside the built page lies the checksum of the sources it was made of. Standard library only,
since the build of a wheel runs it before anything is installed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from node_finder import DASHBOARD, BuildError, Node, fetch_node, find_node

PACKAGE = DASHBOARD.parent / "src" / "tailrace"
PAGE = PACKAGE / "dashboard"

_BUILT = DASHBOARD / "dist"
_STAMP = ".sources"
_TOLD_LINES = 30

# What the built page is made of, besides `src` and `public`.
_FILES = ("index.html", "package.json", "package-lock.json", "vite.config.ts", "build/compress.mjs")


def build_page() -> bool:
    """Build the page, unless it is there; returns whether it had to be built. Raises `BuildError`."""
    with _alone():
        stamp = PAGE / _STAMP
        sources = checksum(DASHBOARD)
        if (PAGE / "index.html").is_file() and stamp.is_file() and stamp.read_text() == sources:
            return False
        _say("building the dashboard (a few seconds; about a minute the first time)")
        _npm(_prepared(), "run", "build")
        _put_in_place(sources)
        return True


def run_script(*arguments: str) -> int:
    """`npm run` with these arguments, its output as it comes; returns its exit code. Raises `BuildError`."""
    with _alone():
        node = _prepared()
    return subprocess.run(
        [*node.npm, "run", "--silent", *arguments], cwd=DASHBOARD, env=node.environment()
    ).returncode


def checksum(dashboard: Path) -> str:
    """Of everything that the built page is made of."""
    paths = [dashboard / name for name in _FILES]
    for folder in ("src", "public"):
        paths += (path for path in (dashboard / folder).rglob("*") if path.is_file() and ".test." not in path.name)
    total = hashlib.sha256()
    for path in sorted(paths):
        content = path.read_bytes()
        total.update(f"{path.relative_to(dashboard).as_posix()}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def has_dependencies(dashboard: Path) -> bool:
    """Whether `node_modules` is what the lock file asks for: npm writes there what it has put in."""
    try:
        installed = json.loads((dashboard / "node_modules" / ".package-lock.json").read_text())["packages"]
    except (OSError, ValueError, KeyError):
        return False
    wanted = json.loads((dashboard / "package-lock.json").read_text())["packages"]
    return all(
        name in installed and installed[name].get("integrity") == package.get("integrity")
        for name, package in wanted.items()
        # Native parts for other machines are not put in; npm sees to this machine's.
        if name and not package.get("optional")
    )


def _prepared() -> Node:
    """Node, with what the lock file names beside it."""
    node = find_node() or fetch_node()
    if not has_dependencies(DASHBOARD):
        _say("fetching what the dashboard is made of")
        # No package needs to run anything when it is installed, so none is allowed to.
        _npm(node, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    return node


def _npm(node: Node, *arguments: str) -> None:
    done = subprocess.run(
        [*node.npm, *arguments],
        cwd=DASHBOARD,
        env=node.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        # What is wrong stands first; advice, however long, behind it.
        told = "\n".join(done.stdout.splitlines()[:_TOLD_LINES])
        raise BuildError(f"`npm {' '.join(arguments)}` in {DASHBOARD} failed ({done.returncode}):\n{told}")


def _put_in_place(sources: str) -> None:
    """One rename, so that a server that starts meanwhile reads the old page or the new one."""
    new, old = PAGE.with_name("dashboard.new"), PAGE.with_name("dashboard.old")
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(_BUILT, new)
    (new / _STAMP).write_text(sources)
    if PAGE.exists():
        PAGE.rename(old)
    new.rename(PAGE)
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One build at a time: a second one waits, and then finds it done."""
    with open(DASHBOARD / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
