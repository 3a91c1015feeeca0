"""Which files are there: what the patterns match, behind links, without what is left out."""

from __future__ import annotations

import fnmatch
import glob
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

COMPRESSED = frozenset({".gz", ".zst", ".bz2", ".xz", ".lz4", ".zip", ".z"})
"""Endings of what rotation packs: it was followed before it was packed, under its inode or as a copy."""


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file. `path` is absolute, as it was matched; `target` the same behind links."""

    path: Path
    target: Path
    device: int
    inode: int
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Patterns:
    """`included` may hold `*`, `?`, `[…]` and `**`; `excluded` are matched against the whole path and the name."""

    included: tuple[str, ...]
    excluded: tuple[str, ...] = ()

    def find(self) -> Iterator[Found]:
        """Each file once, though several patterns or links lead to it."""
        seen: set[tuple[int, int]] = set()
        folders: dict[str, str] = {}
        for pattern in self.included:
            # A file may have the name of a pattern.
            names = [pattern] if os.path.lexists(pattern) else _matching(pattern)
            for name in names:
                found = None if self.leave_out(name) else look_at(Path(name), folders)
                if found is not None and (found.device, found.inode) not in seen:
                    seen.add((found.device, found.inode))
                    yield found

    def leave_out(self, name: str) -> bool:
        path = os.path.abspath(name)
        base = os.path.basename(path)
        return is_compressed(base) or any(
            fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(base, pattern) for pattern in self.excluded
        )


def _matching(pattern: str) -> Iterator[str]:
    """As `glob.iglob`, but that below `**` each folder is gone through once: where two links lead upwards, there are
    paths without end.
    """
    parts = pattern.split(os.sep)
    if "**" not in parts:
        yield from glob.iglob(pattern)
        return
    place = parts.index("**")
    above, below = os.sep.join(parts[:place]), os.sep.join(parts[place + 1 :]) or "*"
    tops = glob.iglob(above) if above else [os.sep if pattern.startswith(os.sep) else os.curdir]
    for folder in _folders(tops):
        yield from _matching(os.path.join(glob.escape(folder), below))


def _folders(tops: Iterable[str]) -> Iterator[str]:
    """The folders and all that is in them but for hidden ones, each once; those of links come last."""
    waiting, links = list(tops), list[str]()
    seen: set[tuple[int, int]] = set()
    while waiting or links:
        folder = waiting.pop() if waiting else links.pop()
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                shown = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError:
            continue
        yield folder
        waiting += [entry.path for entry in shown if entry.is_dir(follow_symlinks=False)]
        links += [entry.path for entry in shown if entry.is_symlink()]


def text_of(path: Path) -> str:
    """The path for messages and records; bytes that are no UTF-8 are shown as `\\xe9`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def is_compressed(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in COMPRESSED


def look_at(path: Path, folders: dict[str, str] | None = None) -> Found | None:
    """None when it is not there, cannot be seen, or is no regular file. `folders`: those whose own path is known."""
    absolute = os.path.abspath(path)
    try:
        status = os.lstat(absolute)
        if stat.S_ISLNK(status.st_mode):
            status, target = os.stat(absolute), os.path.realpath(absolute)
        else:
            target = os.path.join(_real_folder(os.path.dirname(absolute), folders), os.path.basename(absolute))
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return Found(Path(absolute), Path(target), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _real_folder(folder: str, known: dict[str, str] | None) -> str:
    if known is None:
        return os.path.realpath(folder)
    if folder not in known:
        known[folder] = os.path.realpath(folder)
    return known[folder]


def beside(folder: Path) -> Iterator[tuple[Path, int]]:
    """The files of a folder that may hold what another one held: path and inode."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not is_compressed(entry.name) and entry.is_file(follow_symlinks=False):
                    yield Path(entry.path), entry.inode()
    except OSError:
        return


def literal_compressed(names: Sequence[str]) -> list[str]:
    """Names, not patterns, of packed files: somebody wants them, and following is not the way."""
    return [name for name in names if is_compressed(name) and not glob.has_magic(name)]
