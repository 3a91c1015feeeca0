"""The plain text copy: every event as one line of JSON in `logs.txt`, for `tail`, `grep` and `jq`.

Invariants
----------
* `logs.progress` says which events are in the files: how many bytes of `logs.txt` count, and the next offset of each
  partition. It is replaced as a whole (written beside, fsynced, renamed) after the bytes it counts were fsynced.
* Bytes behind the counted size are from a write that was cut off; they are cut away before the next write.
* `logs.txt` is rotated only between two writes, when it counts `rotate_bytes` or a new UTC day has begun. The
  progress first says `rotating_to`, then the file is renamed, then the progress says size 0: at any instant in
  between the next start can tell which step is next.

`docs/formats/jsonl.md` shows the files.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tailrace.config import JsonlSettings
from tailrace.errors import RetryLater
from tailrace.kernels.json_out import json_lines
from tailrace.model.batch import events_above
from tailrace.model.clock import Clock
from tailrace.store.jsonl_progress import Progress, read_progress, sync_folder, write_progress

FILE_NAME = "logs.txt"

# Rows rendered at a time: some 16 MB of text, which bounds the memory whatever the size of a flush.
_RENDER_ROWS = 65_536

_LOCK_NAME = "logs.lock"
_STAND_BY_S = 0.5

_log = logging.getLogger(__name__)


class JsonlStore:
    """Implements `store.port.Store` on the files of one folder. For one thread, and nobody else writes there.

    `lock` is held until `close`. Raises `Stop` when the progress file is damaged, or missing beside `logs.txt`.
    """

    name = "jsonl"

    def __init__(
        self, folder: str | Path, *, settings: JsonlSettings, clock: Clock, lock: BinaryIO | None = None
    ) -> None:
        self._folder = Path(folder)
        self._settings = settings
        self._clock = clock
        self._lock = lock
        self._file = self._folder / FILE_NAME
        with _disk_errors(self._file):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._progress = read_progress(self._folder, self._file)
            self._finish_rotation()
            self._cut()

    def reached(self) -> Mapping[int, int]:
        return self._progress.reached

    def write(self, batches: Sequence[pa.RecordBatch], through: Mapping[int, int]) -> None:
        reached = {**self._progress.reached}
        for partition, offset in through.items():
            reached[partition] = max(offset, reached.get(partition, 0))
        if reached == self._progress.reached:
            return
        with _disk_errors(self._file):
            self._rotate_when_due()
            size_bytes = self._append(batches)
            self._save(replace(self._progress, size_bytes=size_bytes, reached=reached))

    def close(self) -> None:
        """Another process may write to the folder from now on."""
        if self._lock is not None:
            self._lock.close()

    def _append(self, batches: Sequence[pa.RecordBatch]) -> int:
        """Write the lines that are not there yet behind the counted ones and fsync; returns the size then."""
        with _open_to_write(self._file) as file:
            at = start = self._cut_file(file, self._progress.size_bytes)
            try:
                for batch in batches:
                    fresh = events_above(batch, self._progress.reached)
                    for first in range(0, fresh.num_rows, _RENDER_ROWS):
                        at += _write_all(file, json_lines(fresh.slice(first, _RENDER_ROWS)), at)
                os.fsync(file)
            except OSError:
                os.ftruncate(file, start)
                raise
        return at

    def _cut(self) -> None:
        """Cut away what a write that was cut off has left."""
        if self._file.exists():
            with _open_to_write(self._file) as file:
                self._cut_file(file, self._progress.size_bytes)

    def _cut_file(self, file: int, size_bytes: int) -> int:
        found_bytes = os.fstat(file).st_size
        if found_bytes > size_bytes:
            os.ftruncate(file, size_bytes)
        elif found_bytes < size_bytes:
            # Somebody emptied or moved it; writing on at the old place would leave a hole of zero bytes.
            _log.warning(
                "%s has %d bytes and should have %d: it was cut from outside; going on at its end",
                self._file, found_bytes, size_bytes,
            )  # fmt: skip
            return found_bytes
        return size_bytes

    def _rotate_when_due(self) -> None:
        progress = self._progress
        day = datetime.fromtimestamp(self._clock() / 1_000_000, UTC).date().isoformat()
        if progress.size_bytes == 0 or not self._file.exists():
            if progress.day != day:
                self._progress = replace(progress, day=day)
        elif progress.size_bytes >= self._settings.rotate_bytes or progress.day != day:
            number = 1 + max((number for d, number, _ in self._rotated() if d == progress.day), default=0)
            self._save(replace(progress, rotating_to=f"logs-{progress.day}.{number:03d}.txt"))
            self._finish_rotation()
            self._progress = replace(self._progress, day=day)

    def _finish_rotation(self) -> None:
        progress = self._progress
        if progress.rotating_to is None:
            return
        target = self._folder / progress.rotating_to
        if self._file.exists() and not target.exists():
            self._cut()
            self._file.rename(target)
            sync_folder(self._folder)
        self._save(replace(progress, size_bytes=0, rotating_to=None))
        for _, _, old in sorted(self._rotated())[: -self._settings.keep_files]:
            old.unlink(missing_ok=True)

    def _rotated(self) -> Iterator[tuple[str, int, Path]]:
        """Day, number and path of each rotated file."""
        for path in self._folder.glob("logs-????-??-??.*.txt"):
            number = path.name[16:-4]
            if number.isdecimal():
                yield path.name[5:15], int(number), path

    def _save(self, progress: Progress) -> None:
        write_progress(self._folder, progress)
        self._progress = progress


@contextmanager
def _open_to_write(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield file
    finally:
        os.close(file)


def _write_all(file: int, data: npt.NDArray[np.uint8], at: int) -> int:
    """Write at that place; returns the number of bytes."""
    view = data.data
    while view:
        view = view[os.pwrite(file, view, at + len(data) - len(view)) :]
    return len(data)


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RetryLater(
            f"{error.filename or path}: the plain text copy cannot be written: {error.strerror}"
        ) from error


def open_when_free(folder: Path, *, settings: JsonlSettings, clock: Clock, stopping: threading.Event) -> JsonlStore:
    """The store, once no other process writes to the folder: until that one closes it or dies, this one stands by.

    Raises `RetryLater` when `stopping` is set first, and as `JsonlStore` does.
    """
    with _disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK_NAME).open("ab")
    try:
        # The kernel gives the lock back when its process dies.
        while not _is_locked(lock):
            if stopping.wait(_STAND_BY_S):
                raise RetryLater(f"{folder}: another process writes here")
        return JsonlStore(folder, settings=settings, clock=clock, lock=lock)
    except BaseException:
        lock.close()
        raise


def _is_locked(lock: BinaryIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
