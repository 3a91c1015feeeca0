"""How far each file was sent: a journal that survives the death of the shipper at any moment.

A text file, one record a line: the CRC-32 of the rest in eight hexadecimal digits, a blank, and an object of JSON.

    {"positions": 1}                                           first, the version
    {"file": ID, "device": D, "inode": I, "path": P,           a file, or what is known of it now; P is where it was
     "name": S, "head": [N, DIGEST], "position": BYTES}        seen last, S its name before any rotation, and DIGEST
                                                               the BLAKE2b of its first N bytes (up to 1024)
    {"sending": KEY, "pieces": [[ID, START, END], …]}          these bytes are about to be sent under KEY
    {"sent": KEY}                                              the server has acknowledged them
    {"forgotten": ID}                                          the file is gone

Invariants
----------
* A `sending` is on disk (fsync) before its first byte is sent. After a crash exactly these bytes are sent again under
  the same key, so that the server stores them once, whether it had them or not.
* A `sent` is written after the acknowledgement, never before. It is on disk with the next `sending`, after a second
  without one, and at the end; one that is lost costs one body that the server leaves out.
* ID is random and new for each file, and for each life of a file that was cut: a range of an ID is the same bytes for
  ever, and so a key, which is made of such ranges, never stands for others.
* A line that is torn was the last one, but not the first; what it would have said was not acted on: it is left out.
* A new journal with the state alone takes the place of a long one, by rename after its fsync.
* One process at a time: it holds a lock on `FILE.lock`, which the kernel lets go of when the process dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import uuid
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import click
import orjson

HEAD_BYTES_MAX = 1024
"""Of a log's first lines, which have times in them, this tells one from another; it is read with one page."""

_VERSION = 1
_COMPACT_BYTES_MIN = 1 << 20
_COMPACT_FACTOR = 4


class Head(NamedTuple):
    """A file's first `length` bytes, by their digest; of no bytes, any file has it."""

    length: int
    digest: str

    def fits(self, first_bytes: bytes) -> bool:
        return len(first_bytes) >= self.length and head_of(first_bytes[: self.length]) == self


def head_of(first_bytes: bytes) -> Head:
    kept = first_bytes[:HEAD_BYTES_MAX]
    return Head(len(kept), hashlib.blake2b(kept, digest_size=16).hexdigest())


@dataclass(frozen=True, slots=True)
class FileState:
    """`path`: where it was seen last; `name`: what it was called when it was found.

    `position`: what lies before it is acknowledged, or never has to be sent.
    """

    id: str
    device: int
    inode: int
    path: str
    name: str
    head: Head
    position: int


class Piece(NamedTuple):
    """The bytes from `start` to `end` of the file `id`."""

    id: str
    start: int
    end: int


def new_id() -> str:
    return uuid.uuid4().hex


def key_of(pieces: Iterable[Piece]) -> str:
    """The Idempotency-Key of these bytes in this order."""
    text = "\n".join(f"{piece.id} {piece.start} {piece.end}" for piece in pieces)
    return f"ship-{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"


class Positions:
    """The journal and what it says. One thread. All methods raise `OSError` as the disk does; after that it is not to
    be written to again.
    """

    def __init__(self, path: Path) -> None:
        """Open the journal, or begin one. Raises `click.ClickException` when another process has it, or when it is
        no journal.
        """
        self.path = path
        self.files: dict[str, FileState] = {}
        self.unfinished: dict[str, tuple[Piece, ...]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = path.with_name(path.name + ".lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise click.ClickException(
                f"{path} is in use by another tailrace send --follow; "
                "give this one a file of its own with --positions"
            ) from None
        self._file: FileIO | None = None
        self._size_bytes = self._state_bytes = 0
        self._dirty = False
        self.is_new = not path.exists()
        self._replay()
        self._compact()

    def read_states(self) -> list[FileState]:
        """The files, each with the position up to which it was read: what is under way counts."""
        ends: dict[str, int] = {}
        for pieces in self.unfinished.values():
            for piece in pieces:
                ends[piece.id] = max(piece.end, ends.get(piece.id, 0))
        return [replace(state, position=max(state.position, ends.get(state.id, 0))) for state in self.files.values()]

    def note(self, state: FileState) -> None:
        """Remember what is known of a file; on disk with the next `begin` or `flush`."""
        if self.files.get(state.id) != state:
            self.files[state.id] = state
            self._write([_file_record(state)])

    def forget(self, id: str) -> None:
        if self.files.pop(id, None) is not None:
            self._write([{"forgotten": id}])

    def begin(self, pieces: Sequence[Piece]) -> str:
        """These bytes are about to be sent: on return that is on disk. Returns their key."""
        key = key_of(pieces)
        self.unfinished[key] = tuple(pieces)
        self._write([_sending_record(key, pieces)])
        self.flush()
        return key

    def finish(self, key: str) -> None:
        """The server has them; on disk with the next `begin` or `flush`."""
        self._apply_sent(key)
        self._write([{"sent": key}])

    def flush(self) -> None:
        """On return everything is on disk."""
        if self._dirty and self._file is not None:
            os.fdatasync(self._file.fileno())
            self._dirty = False
        if self._size_bytes > max(_COMPACT_BYTES_MIN, _COMPACT_FACTOR * self._state_bytes):
            self._compact()

    def close(self) -> None:
        self.flush()
        if self._file is not None:
            self._file.close()
        self._lock.close()

    def _apply_sent(self, key: str) -> None:
        for piece in self.unfinished.pop(key, ()):
            if state := self.files.get(piece.id):
                self.files[piece.id] = replace(state, position=max(state.position, piece.end))

    def _write(self, records: Sequence[dict[str, Any]]) -> None:
        assert self._file is not None
        data = b"".join(map(_line, records))
        _write_all(self._file, data)
        self._size_bytes += len(data)
        self._dirty = True

    def _replay(self) -> None:
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        torn = lines.pop()
        # The first line is never torn: a journal takes its place as a whole. Something else is somebody's file.
        if torn and not lines:
            lines.append(torn)
        for number, line in enumerate(lines, 1):
            record = _record(line)
            if record is None and number == len(lines) > 1:
                return
            if record is None or (number == 1) != ("positions" in record):
                raise click.ClickException(
                    f"{self.path}:{number} is no line of a journal of positions; when it is damaged, remove it: all "
                    "files are then sent from their start"
                )
            self._apply(record)

    def _apply(self, record: dict[str, Any]) -> None:
        if "file" in record:
            state = FileState(
                record["file"],
                record["device"],
                record["inode"],
                record["path"],
                record["name"],
                Head(*record["head"]),
                record["position"],
            )
            self.files[state.id] = state
        elif "sending" in record:
            self.unfinished[record["sending"]] = tuple(Piece(*piece) for piece in record["pieces"])
        elif "sent" in record:
            self._apply_sent(record["sent"])
        elif "forgotten" in record:
            self.files.pop(record["forgotten"], None)
        elif record.get("positions") != _VERSION:
            raise click.ClickException(f"{self.path} is of another version of Tailrace; this one writes {_VERSION}")

    def _compact(self) -> None:
        records: list[dict[str, Any]] = [{"positions": _VERSION}, *map(_file_record, self.files.values())]
        records += [_sending_record(key, pieces) for key, pieces in self.unfinished.items()]
        data = b"".join(map(_line, records))
        beside = self.path.with_name(self.path.name + ".new")
        file = beside.open("wb", buffering=0)
        _write_all(file, data)
        os.fsync(file.fileno())
        os.replace(beside, self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        if self._file is not None:
            self._file.close()
        # Still open for writing, at its end, under its new name.
        self._file = file
        self._size_bytes = self._state_bytes = len(data)
        self._dirty = False


def _file_record(state: FileState) -> dict[str, Any]:
    return {
        "file": state.id,
        "device": state.device,
        "inode": state.inode,
        "path": state.path,
        "name": state.name,
        "head": list(state.head),
        "position": state.position,
    }


def _sending_record(key: str, pieces: Sequence[Piece]) -> dict[str, Any]:
    return {"sending": key, "pieces": [list(piece) for piece in pieces]}


def _write_all(file: FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _line(record: dict[str, Any]) -> bytes:
    text = orjson.dumps(record)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _record(line: bytes) -> dict[str, Any] | None:
    """None when the line is not as it was written."""
    crc, _, text = line.partition(b" ")
    if crc != b"%08x" % zlib.crc32(text):
        return None
    record = orjson.loads(text)
    return record if isinstance(record, dict) else None
