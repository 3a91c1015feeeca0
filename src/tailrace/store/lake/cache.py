"""A bounded folder of copies: files that are fetched once, read many times, and let go of when room is needed.

    <folder>/lock                  held for each of the short steps below, by all processes that share the folder;
                                   it holds the bytes of all copies, as eight bytes, little end first
    <folder>/files/<name>          the copies; the time of access says when one was last wanted
    <folder>/users/<id>.lock       held by a process for as long as it lives
    <folder>/users/<id>/           what it has in use, as further names (hard links) of the copies; and its drafts

* A copy appears under its name whole, by a rename.
* A copy with a second name is in use, and is not let go of.
* What a process that has died had in use, or left half done, goes with its folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shutil
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from tailrace.errors import QueryError, RetryLater

# Enough to make the waiting for an object store small; each fetch holds some megabytes of memory.
_FETCHES = 8
# Of the bound, what is let go of at once, so that not every new file has to look through all.
_SLACK = 0.05


@dataclass(slots=True)
class _Fetch:
    """A file on its way, and how many have asked for it."""

    size_bytes: int
    wanted: int = 0
    future: Future[None] = field(default_factory=Future)


class Cache:
    """Shared between threads, and the folder between processes. `close` gives back what is in use.

    `fetch(name, target)` writes the file of a name to a path; what it raises, `held` raises.
    """

    def __init__(self, folder: Path, *, bytes_max: int, fetch: Callable[[str, Path], None], setting: str) -> None:
        self.bytes_max = bytes_max
        self._fetch = fetch
        self._setting = setting
        self._folder = folder
        self._files = folder / "files"
        self._users = folder / "users"
        self._mine = self._users / uuid.uuid4().hex
        for part in (self._files, self._users):
            part.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._is_closed = False
        self._lock_file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._used: Counter[str] = Counter()
        self._coming: dict[str, _Fetch] = {}
        self._drafts = itertools.count()
        self._coming_bytes = 0
        self._pool = ThreadPoolExecutor(_FETCHES, thread_name_prefix="lake cache")
        with self._alone():
            self._remove_the_dead()
            self._alive = os.open(f"{self._mine}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._alive, fcntl.LOCK_EX)
            self._mine.mkdir()
            self._count()

    def path(self, name: str) -> Path:
        """Where the copy of a file is while it is held. The last part of the name is in the path as it is."""
        return self._files / quote(name, safe="= ")

    def draft(self) -> Path:
        """A path for a file that is being made."""
        return self._mine / f"draft-{next(self._drafts)}"

    @contextlib.contextmanager
    def held(self, files: Mapping[str, int]) -> Iterator[None]:
        """While this is entered the files, given with their sizes (0: not known), are at their paths.

        Raises `QueryError` when they are larger than the cache, `RetryLater` when others hold the room they need.
        """
        size_bytes = sum(files.values())
        if size_bytes > self.bytes_max:
            raise QueryError(
                f"the query reads {len(files)} files of {size_bytes:,} bytes, and {self._setting} has room for "
                f"{self.bytes_max:,}; ask for a shorter time range, or raise it"
            )
        held: list[str] = []
        try:
            self._gather(files, held)
            yield
        finally:
            self._let_go(held)

    def add(self, name: str, draft: Path) -> None:
        """Take a file that was made here; when there is no room it is not kept."""
        with self._alone():
            if not self.path(name).exists() and self._make_room(draft.stat().st_size):
                self._place(name, draft)
            else:
                draft.unlink()

    def drop(self, name: str) -> None:
        with self._alone(), contextlib.suppress(FileNotFoundError):
            size_bytes = self.path(name).stat().st_size
            self.path(name).unlink()
            self._add_bytes(-size_bytes)

    def close(self) -> None:
        """Waits for the fetches under way. What is held is not any more; `held` raises `RetryLater` from now on."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._pool.shutdown()
        fcntl.flock(self._lock_file, fcntl.LOCK_EX)
        self._remove_user(self._mine)
        os.close(self._alive)
        os.close(self._lock_file)

    def _gather(self, files: Mapping[str, int], held: list[str]) -> None:
        """Put the files in use; `held` is told of each that is, also when one cannot be had."""
        with self._local():
            missing = self._use(files, held)
        fetches = {name: self._bring(name, files[name]) for name in missing}
        wait(fetches.values())
        held += [name for name, future in fetches.items() if future.exception() is None]
        for future in fetches.values():
            future.result()

    def _use(self, names: Collection[str], held: list[str]) -> list[str]:
        """Put in use those that are there; the others."""
        missing = []
        with self._alone():
            now_ns = time.time_ns()
            for name in names:
                path = self.path(name)
                try:
                    if not self._used[name]:
                        os.link(path, self._mine / path.name)
                except FileNotFoundError:
                    missing.append(name)
                    continue
                self._used[name] += 1
                held.append(name)
                with contextlib.suppress(FileNotFoundError):
                    # The time of change stays: by another DuckDB would take it for another file.
                    os.utime(path, ns=(now_ns, path.stat().st_mtime_ns))
        return missing

    def _let_go(self, names: Collection[str]) -> None:
        if self._is_closed:
            return
        with self._alone():
            for name in names:
                self._used[name] -= 1
                if not self._used[name]:
                    del self._used[name]
                    (self._mine / self.path(name).name).unlink(missing_ok=True)

    def _bring(self, name: str, size_bytes: int) -> Future[None]:
        """One fetch of a file at a time; when it succeeds, the file is in use by each who has asked."""
        with self._lock:
            fetch = self._coming.get(name)
            if fetch is None:
                fetch = self._coming[name] = _Fetch(size_bytes)
                self._pool.submit(self._bring_now, name, fetch)
            fetch.wanted += 1
            return fetch.future

    def _bring_now(self, name: str, fetch: _Fetch) -> None:
        draft = self.draft()
        try:
            with self._alone(), self._local():
                draft.touch()
                self._refuse_without_room(fetch.size_bytes)
                self._coming_bytes += fetch.size_bytes
            try:
                self._fetch(name, draft)
            finally:
                with self._alone():
                    self._coming_bytes -= fetch.size_bytes
            with self._alone(), self._local():
                if self.path(name).exists():
                    # Another process was quicker, and may have it in use.
                    draft.unlink()
                else:
                    self._refuse_without_room(draft.stat().st_size)
                    self._place(name, draft)
                in_use = self._mine / self.path(name).name
                in_use.unlink(missing_ok=True)
                os.link(self.path(name), in_use)
                self._used[name] += fetch.wanted
                del self._coming[name]
            fetch.future.set_result(None)
        except BaseException as error:
            with self._lock:
                self._coming.pop(name, None)
            draft.unlink(missing_ok=True)
            fetch.future.set_exception(error)

    # All below: with the lock held.

    def _place(self, name: str, draft: Path) -> None:
        size_bytes = draft.stat().st_size
        draft.rename(self.path(name))
        self._add_bytes(size_bytes)

    def _refuse_without_room(self, size_bytes: int) -> None:
        if not self._make_room(size_bytes):
            raise RetryLater(
                f"{self._folder}: other queries hold all of the room for files of the lake; try again, or "
                f"raise {self._setting}"
            )

    def _make_room(self, size_bytes: int) -> bool:
        """Let go of what was not wanted for longest; whether that was enough."""
        size_bytes += self._coming_bytes
        if self._bytes() + size_bytes <= self.bytes_max:
            return True
        self._remove_the_dead()
        copies = self._count()
        target = self.bytes_max * (1 - _SLACK) - size_bytes
        for path, status in sorted(copies, key=lambda copy: copy[1].st_atime_ns):
            if self._bytes() <= target:
                break
            if status.st_nlink == 1:
                os.unlink(path)
                self._add_bytes(-status.st_size)
        return self._bytes() + size_bytes <= self.bytes_max

    def _count(self) -> list[tuple[str, os.stat_result]]:
        """The copies; the sum of their bytes is right after this, whatever was done to the folder."""
        copies = [(entry.path, entry.stat()) for entry in os.scandir(self._files)]
        self._add_bytes(sum(status.st_size for _, status in copies) - self._bytes())
        return copies

    def _bytes(self) -> int:
        return int.from_bytes(os.pread(self._lock_file, 8, 0), "little")

    def _add_bytes(self, size_bytes: int) -> None:
        os.pwrite(self._lock_file, max(0, self._bytes() + size_bytes).to_bytes(8, "little"), 0)

    def _remove_the_dead(self) -> None:
        for lock in self._users.glob("*.lock"):
            user = lock.with_suffix("")
            if user == self._mine:
                continue
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._remove_user(user)
            except BlockingIOError:
                pass  # it lives
            finally:
                os.close(descriptor)

    def _remove_user(self, user: Path) -> None:
        shutil.rmtree(user, ignore_errors=True)
        Path(f"{user}.lock").unlink(missing_ok=True)

    @contextlib.contextmanager
    def _local(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RetryLater(f"{self._folder}: cannot keep files of the lake: {error}") from error

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            if self._is_closed:
                raise RetryLater(f"{self._folder}: is closed")
            fcntl.flock(self._lock_file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._lock_file, fcntl.LOCK_UN)
