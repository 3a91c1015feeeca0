"""A lake in a folder of this machine."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow.parquet as pq

from tailrace.errors import RetryLater, Stop, TailraceError
from tailrace.store.lake.place_port import INDEX_FOLDER, Entry, index_path

log = logging.getLogger(__name__)

_UPKEEP = "_upkeep.lock"


class LocalPlace:
    """Implements `Place`. Every file is fsynced, and so is its name, before anything tells of it."""

    look_interval_s = 0.0
    is_far = False
    room_bytes = sys.maxsize

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.name = self.table_uri = str(self.folder)
        self.storage_options: dict[str, str] | None = None
        self._log = self.folder / "_delta_log"
        self._turn: int | None = None

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._set_aside_torn_commit()

    def refusal(self, error: Exception) -> TailraceError:
        return Stop(f"{self.name}: {error}")

    def has_commit(self, version: int) -> bool:
        return self._commit_path(version).exists()

    def make_durable(self, first: int, last: int) -> None:
        try:
            for version in range(first, last + 1):
                # Another process may have cleaned up a commit that a checkpoint holds.
                with contextlib.suppress(FileNotFoundError):
                    sync(self._commit_path(version))
            sync(self._log)
            if first == 0:
                sync(self.folder)
                sync(self.folder.parent)
        except OSError as error:
            raise RetryLater(f"{self._log}: cannot be made durable: {error}") from error

    def is_final(self, error: Exception) -> bool:
        return True

    def log_names(self) -> list[str]:
        return [entry.name for entry in os.scandir(self._log)]

    def read_log(self, name: str) -> bytes:
        return (self._log / name).read_bytes()

    def draft(self, path: str) -> Path:
        """In its very place: a file is named by nobody before its commit, so a torn one is only waste."""
        draft = self.folder / path
        draft.parent.mkdir(exist_ok=True)
        return draft

    def publish(self, path: str, index: bytes) -> None:
        sync(self.folder / path)
        self.put_index(path, index)
        sync((self.folder / path).parent)
        sync(self.folder)

    def put_index(self, path: str, index: bytes) -> None:
        place = self.folder / index_path(path)
        place.parent.mkdir(exist_ok=True)
        draft = place.with_suffix(".draft")
        try:
            draft.write_bytes(index)
            sync(draft)
            draft.rename(place)
            sync(place.parent)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    def discard(self, path: str) -> None:
        for leftover in (path, index_path(path)):
            with contextlib.suppress(OSError):
                (self.folder / leftover).unlink()

    @contextlib.contextmanager
    def held(self, files: Mapping[str, int]) -> Iterator[None]:
        """The cleaner leaves what this process reads, and all else for longer than any query takes."""
        yield

    def local(self, path: str) -> Path:
        return self.folder / path

    def footer(self, path: str) -> pq.FileMetaData:
        return pq.read_metadata(self.folder / path)

    def mend_copy(self, path: str) -> bool:
        return False

    def released(self, path: str) -> None:
        # From now on its age says how long nobody has needed it: the cleaner goes by that.
        for file in (path, index_path(path)):
            with contextlib.suppress(OSError):
                os.utime(self.folder / file)

    def marks_releases(self) -> bool:
        return True

    def entries(self, folder: str | None = None) -> Iterator[Entry]:
        for name in _folders(self.folder) if folder is None else [folder]:
            for entry in _scan(self.folder / name):
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat()
                    yield Entry(f"{name}/{entry.name}", status.st_size, status.st_mtime)

    def delete(self, path: str) -> bool:
        try:
            (self.folder / path).unlink()
        except FileNotFoundError:
            return False
        return True

    def remove_empty_days(self, today: str) -> None:
        for name in _folders(self.folder):
            if name.startswith("date=") and name < f"date={today}":
                with contextlib.suppress(OSError):
                    os.rmdir(self.folder / name)

    def take_turn(self, now_us: int) -> bool:
        """A lock that the kernel lets go of when its process ends."""
        if self._turn is None:
            turn = os.open(self.folder / _UPKEEP, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(turn)
                return False
            self._turn = turn
        return True

    def close(self) -> None:
        if self._turn is not None:
            os.close(self._turn)
            self._turn = None

    def _commit_path(self, version: int) -> Path:
        return self._log / f"{version:020d}.json"

    def _set_aside_torn_commit(self) -> None:
        """A power cut may leave the name of the newest commit without its bytes. It was never acknowledged, since
        that takes an fsync; with it in place nobody could read the table.
        """
        commits = sorted(self._log.glob("*.json"))
        if commits and not commits[-1].read_bytes().strip(b"\0"):
            log.warning("%s: is empty after a power cut; set aside", commits[-1])
            commits[-1].rename(commits[-1].with_suffix(".torn"))
            sync(self._log)


def sync(path: Path) -> None:
    """fsync a file, or a folder: the names in it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _folders(lake: Path) -> list[str]:
    """Those of data files and token indexes."""
    return [
        entry.name
        for entry in _scan(lake)
        if entry.is_dir() and (entry.name.startswith("date=") or entry.name == INDEX_FOLDER)
    ]


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
