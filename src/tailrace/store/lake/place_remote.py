"""A lake on an object store: files are written here and sent there, fetched from there and read here."""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.exceptions import CommitFailedError

from tailrace.errors import RetryLater, TailraceError
from tailrace.store.lake.cache import Cache
from tailrace.store.lake.objects import Objects
from tailrace.store.lake.place_port import INDEX_FOLDER, Entry, index_path

# The footer of a million rows has some 40 kB.
_FOOTER_BYTES = 128 << 10

_UPKEEP = "_upkeep.json"
# Longer than most joins take. The commits of the lake, not this, keep two from doing the same.
_TURN_US = 300 * 1_000_000


class RemotePlace:
    """Implements `Place` over an object store, with a cache on local disk.

    A request that was given up may still arrive. So what a commit may name is not deleted when the commit fails: the
    cleaner does it later.
    """

    look_interval_s = 0.5
    is_far = True

    def __init__(self, url: str, *, storage_options: Mapping[str, str], cache: Path, cache_bytes_max: int) -> None:
        self.name = self.table_uri = url
        self._objects = Objects(url, storage_options)
        self.storage_options: dict[str, str] | None = self._objects.options
        folder = cache / hashlib.sha256(url.encode()).hexdigest()[:16]
        self._cache = Cache(
            folder, bytes_max=cache_bytes_max, fetch=self._objects.download, setting="lake.cache_bytes_max"
        )
        # So that two queries get on beside each other.
        self.room_bytes = cache_bytes_max // 2
        self._drafts: dict[str, Path] = {}
        self._sending = ThreadPoolExecutor(1, thread_name_prefix="lake index")
        self._me = uuid.uuid4().hex

    def prepare(self) -> None:
        """delta-rs asks soon enough."""

    def refusal(self, error: Exception) -> TailraceError:
        return self._objects.refusal(error)

    def has_commit(self, version: int) -> bool:
        return self._objects.exists(f"_delta_log/{version:020d}.json")

    def make_durable(self, first: int, last: int) -> None:
        """What the store has said yes to is durable."""

    def is_final(self, error: Exception) -> bool:
        """When somebody else's commit was in the way, then at the version of every attempt there is one by now."""
        return isinstance(error, CommitFailedError) and "Concurrent transaction" in str(error)

    def log_names(self) -> list[str]:
        return [entry.name for entry in self._objects.entries("_delta_log")]

    def read_log(self, name: str) -> bytes:
        return self._objects.tail(f"_delta_log/{name}")

    def draft(self, path: str) -> Path:
        draft = self._drafts[path] = self._cache.draft()
        return draft

    def publish(self, path: str, index: bytes) -> None:
        """Both are kept here too: the newest files are the ones that are asked for most."""
        draft = self._drafts[path]
        sent = self._sending.submit(self._objects.put, index_path(path), index)
        try:
            self._objects.upload(path, draft)
        finally:
            wait([sent])
        sent.result()
        del self._drafts[path]
        self._cache.add(path, draft)
        self._keep_index(path, index)

    def put_index(self, path: str, index: bytes) -> None:
        self._objects.put(index_path(path), index)
        self._keep_index(path, index)

    def discard(self, path: str) -> None:
        draft = self._drafts.pop(path, None)
        if draft is not None:
            # What of it may have been sent is left to the cleaner: the store has just refused.
            draft.unlink(missing_ok=True)
            return
        for leftover in (path, index_path(path)):
            self._cache.drop(leftover)
            with contextlib.suppress(OSError, RetryLater):
                self._objects.delete(leftover)

    def held(self, files: Mapping[str, int]) -> AbstractContextManager[None]:
        return self._cache.held(files)

    def local(self, path: str) -> Path:
        return self._cache.path(path)

    def footer(self, path: str) -> pq.FileMetaData:
        with contextlib.suppress(OSError, pa.ArrowException):
            return pq.read_metadata(self._cache.path(path))
        tail = self._objects.tail(path, _FOOTER_BYTES)
        length = struct.unpack("<I", tail[-8:-4])[0] + 8 if len(tail) > 8 else 0
        if length > len(tail):
            tail = self._objects.tail(path, length)
        return pq.read_metadata(pa.BufferReader(tail))

    def mend_copy(self, path: str) -> bool:
        try:
            before = self._cache.path(path).read_bytes()
        except FileNotFoundError:
            before = None
        self._cache.drop(path)
        try:
            with self.held({path: 0}):
                return self._cache.path(path).read_bytes() != before
        except FileNotFoundError:
            return False

    def released(self, path: str) -> None:
        """The commit says when."""

    def marks_releases(self) -> bool:
        return False

    def entries(self, folder: str | None = None) -> Iterator[Entry]:
        for entry in self._objects.entries(folder or ""):
            top, separator, _ = entry.path.partition("/")
            if separator and (top == INDEX_FOLDER or top.startswith("date=")):
                yield entry

    def delete(self, path: str) -> bool:
        self._cache.drop(path)
        return self._objects.delete(path)

    def remove_empty_days(self, today: str) -> None:
        """They cost nothing here."""

    def take_turn(self, now_us: int) -> bool:
        """A note with a name and a time, renewed by whoever has it: a promise of good manners, no lock."""
        try:
            note = json.loads(self._objects.tail(_UPKEEP, 4096))
            if note["by"] != self._me and note["until_us"] > now_us:
                return False
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            pass  # nobody's turn
        self._objects.put(_UPKEEP, json.dumps({"by": self._me, "until_us": now_us + _TURN_US}).encode())
        return True

    def close(self) -> None:
        self._sending.shutdown()
        self._cache.close()

    def _keep_index(self, path: str, index: bytes) -> None:
        draft = self._cache.draft()
        draft.write_bytes(index)
        self._cache.add(index_path(path), draft)
