"""The spool: where events wait on disk while the server is away.

A folder of segments, `TIME-PID-NUMBER-KEY.ndjson`, each a run of NDJSON lines that is sent as one request with KEY
as its Idempotency-Key.

Invariants
----------
* A segment belongs to whoever holds its `flock`: one writer while it grows, then one sender. The kernel lets go of
  the lock when a process dies, so its segments can be taken over at once, by its next start or by a sibling, and
  never by two.
* What `append` has returned is fsynced, the folder's entry included.
* A line without its line end was being written when its process died; nobody was told that it is safe, and it is
  left out.
* A segment is deleted only after the server has acknowledged it. A crash in between sends it once more, under the
  same key and with the same lines, so that the server stores it once.
* A batch that was sent already, and may have arrived, is a segment of its own under the key that it was sent with.
* All segments together never pass `bytes_max` by the hand of one process; what does not fit is refused.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

_SUFFIX = ".ndjson"

# One segment is one request when it is sent: small enough for the body limits of the usual proxies once compressed.
_SEGMENT_BYTES = 1 << 20


class Segment:
    """A segment that this process has claimed; use it as a context to let go of it again."""

    def __init__(self, path: Path, descriptor: int, release: Callable[[int], None]) -> None:
        self.path = path
        # What an older version has left there has no key.
        parts = path.name.removesuffix(_SUFFIX).split("-", 3)
        self.key = parts[3] if len(parts) == 4 else None
        self._descriptor = descriptor
        self._release = release

    def lines(self) -> list[bytes]:
        with open(self._descriptor, "rb", closefd=False) as file:
            file.seek(0)
            return [line for line in file if line.endswith(b"\n")]

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Segment:
        return self

    def __exit__(self, *raised: object) -> None:
        self._release(self._descriptor)


class Spool:
    """Shared between the threads of a process, and its folder between processes."""

    def __init__(self, folder: Path, *, bytes_max: int) -> None:
        """Makes the folder. Raises `OSError` when that fails."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._writing: tuple[Path, int] | None = None
        self._claimed: set[int] = set()
        self._number = 0

    def append(self, lines: Sequence[bytes], *, key: str | None = None) -> bool:
        """Keep the lines; durable on return. False when they do not fit. Raises `OSError` as the disk does.

        With `key`, what these lines were sent with before, they are kept apart from others.
        """
        data = b"".join(lines)
        with self._lock:
            if self.used_bytes() + len(data) > self._bytes_max:
                return False
            if key is not None:
                self._seal()
            path, descriptor = self._writing or self._open_segment(key or str(uuid.uuid4()))
            self._writing = path, descriptor
            size = os.fstat(descriptor).st_size
            try:
                _write_all(descriptor, data)
                os.fsync(descriptor)
            except OSError:
                # The disk is full or broken: a half-written batch must not look like a whole one.
                os.ftruncate(descriptor, size)
                raise
            if key is not None or size + len(data) >= _SEGMENT_BYTES:
                self._seal()
            return True

    def claim(self) -> Segment | None:
        """The oldest segment that nobody holds; this process's growing one when there is no other."""
        return self._claim_oldest() or (self._claim_oldest() if self.seal() else None)

    def seal(self) -> bool:
        """Stop writing to the growing segment, so that it can be claimed. False when there is none."""
        with self._lock:
            return self._seal()

    def used_bytes(self) -> int:
        total = 0
        for path in self._segments():
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                continue  # Somebody has sent it meanwhile.
        return total

    def forget_open_segments(self) -> None:
        """For a forked child: its copies of the descriptors are closed, so that only the parent holds the locks."""
        self._lock = threading.Lock()
        self._seal()
        for descriptor in self._claimed:
            os.close(descriptor)
        self._claimed = set()

    def _segments(self) -> list[Path]:
        return sorted(path for path in self._folder.iterdir() if path.name.endswith(_SUFFIX))

    def _open_segment(self, key: str) -> tuple[Path, int]:
        self._number += 1
        name = f"{time.time_ns():020d}-{os.getpid()}-{self._number}-{key}"
        path = self._folder / f"{name}{_SUFFIX}"
        # It gets the name by which others find it only when it is locked.
        hidden = self._folder / f"{name}.new"
        descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        hidden.rename(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return path, descriptor

    def _seal(self) -> bool:
        if self._writing is None:
            return False
        os.close(self._writing[1])
        self._writing = None
        return True

    def _claim_oldest(self) -> Segment | None:
        for path in self._segments():
            try:
                descriptor = os.open(path, os.O_RDWR)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            # It may have been sent and deleted between the opening and the lock.
            if os.fstat(descriptor).st_nlink:
                self._claimed.add(descriptor)
                return Segment(path, descriptor, self._release)
            os.close(descriptor)
        return None

    def _release(self, descriptor: int) -> None:
        self._claimed.discard(descriptor)
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
