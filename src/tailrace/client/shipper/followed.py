"""One file that is followed: opened, read on from its position, and known again by its first bytes."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from tailrace.client.shipper.finding import Found, beside, look_at, text_of
from tailrace.client.shipper.multiline import GROUP_BYTES_MAX
from tailrace.client.shipper.positions import HEAD_BYTES_MAX, FileState, Head, head_of
from tailrace.client.shipper.reading import Read, Reader, ShipReading

PIECE_LINES_MAX = 65_536
"""So many lines are sent as one body: of short ones, what is added to each is far more than the file's bytes."""

SETTLED_AFTER_S = 1.0
"""A line, or an event, that was not gone on with for so long is taken as whole."""

_ROTATED = re.compile(r"[._-]\d[\d._:T-]*")

_NUMBERED = re.compile(r"[._-](\d{1,4})")

_COPY_HEAD_MIN = 16
"""Of fewer first bytes, too many files are alike."""


class Replaced(Exception):
    """The file was cut, or is another one now: what was read of it last is not to be used."""


class FollowedFile:
    """One life of a file. One thread. `position`: up to where it was read."""

    def __init__(self, found: Found, state: FileState, reading: ShipReading, now_s: float) -> None:
        self.path = found.path
        self.target = found.target
        self.state = state
        self.position = state.position
        self.size = self.size_before = found.size
        self.modified_ns = found.modified_ns
        self.changed_s = now_s
        self.read_s = -math.inf
        self.unseen_since_s: float | None = None
        self.reader = Reader(dict.fromkeys((found.path, found.target)), reading)
        self._reading = reading
        self._descriptor: int | None = None
        self._tried: tuple[int, bool, bool] | None = None

    @property
    def is_open(self) -> bool:
        return self._descriptor is not None

    @property
    def read_state(self) -> FileState:
        """The state with the position up to which it was read."""
        return replace(self.state, position=self.position)

    @property
    def has_more(self) -> bool:
        return self.size > self.position

    def see(self, size: int, modified_ns: int, now_s: float) -> bool:
        """What a look at the file has told; whether something changed."""
        if (size, modified_ns) == (self.size, self.modified_ns):
            return False
        self.size_before, self.size, self.modified_ns, self.changed_s = self.size, size, modified_ns, now_s
        return True

    def take_name(self, path: Path) -> None:
        """It is found by this name, where only its own was known: that of a link may tell more."""
        self.path = path
        self.reader = Reader(dict.fromkeys((path, self.target)), self._reading)

    def may_be_copied_as(self, found: Found, first: bytes) -> bool:
        """Whether that file, with these first bytes, can be a copy of this one, also one that is being made just now:
        not longer, unless this was cut in the meantime.
        """
        if not is_copy_of(found, self.state, first):
            return False
        now = look_at(self.target)
        whole = self.position <= found.size
        if now is None or now.size < self.position:
            return whole
        return found.size <= max(now.size, self.size) and (whole or self._begins_with(found))

    def _begins_with(self, found: Found) -> bool:
        """Whether it has the last bytes of that file, which is shorter, in the same place."""
        start = max(0, found.size - HEAD_BYTES_MAX)
        try:
            there = _bytes_at(found.path, start)[: found.size - start]
            return there == os.pread(self.open(), found.size - start, start)
        except OSError:
            return False

    def look(self, now_s: float) -> bool:
        """Whether it changed since it was looked at last; raises `FileNotFoundError` when it is gone."""
        status = self._status()
        if self._descriptor is None and status.st_ino != self.state.inode:
            raise FileNotFoundError(self.target)
        return self.see(status.st_size, status.st_mtime_ns, now_s)

    def _status(self) -> os.stat_result:
        if self._descriptor is not None:
            try:
                return os.fstat(self._descriptor)
            except OSError:
                # Another machine removed it from a disk that they share, or the disk was away.
                self.close()
        return os.stat(self.target)

    def is_deleted(self) -> bool:
        """Whether no name leads to it any more, which an open file alone can tell."""
        return self._descriptor is not None and os.fstat(self._descriptor).st_nlink == 0

    def read(self, *, bytes_max: int, final: bool, now_s: float, now_us: int) -> Read | None:
        """Events of the next whole lines, None when there are none yet. Moves `position` behind them.

        `final`: nothing will come any more, so that the last line is one even without its end. Raises `Replaced`,
        and `OSError` when it cannot be read or is gone.
        """
        settled = final or now_s - self.changed_s >= SETTLED_AFTER_S
        tried = (self.size, settled, final)
        if self._tried == tried:
            return None
        self.read_s = now_s
        data = self._bytes(self.position, bytes_max)
        if data.startswith(b"\0"):
            self._skip_hole()
            data = self._bytes(self.position, bytes_max)
        self._tried = tried
        cut = _whole_lines(data, bytes_max, final)
        if not cut:
            return None
        # What does not fit into a piece may go on in the next one, however long ago it was written.
        more = len(data) == bytes_max or data.find(b"\n", cut) >= 0
        reference_us = self.modified_ns // 1000
        read = self.reader.read(data[:cut], settled=settled and not more, now_us=now_us, reference_us=reference_us)
        if not read.end and (more or cut > GROUP_BYTES_MAX):
            read = self.reader.read(data[:cut], settled=True, now_us=now_us, reference_us=reference_us)
        if not read.end:
            return None
        self._tried = None
        self.position += read.end
        return read

    def read_again(self, start: int, end: int, *, now_us: int) -> Read | None:
        """The events of bytes that were read before; None when they are no longer there."""
        try:
            data = self._bytes(start, end - start)
        except (OSError, Replaced):
            return None
        if len(data) != end - start:
            return None
        return self.reader.read(data, settled=True, now_us=now_us, reference_us=self.modified_ns // 1000)

    def skip_to_end(self) -> None:
        """To the beginning of the last line that has no end yet."""
        start = max(0, self.size - HEAD_BYTES_MAX * 64)
        data = self._bytes(start, self.size - start)
        # A line that is longer than all of this has begun long ago: what is left of it is no line.
        self.position = start + (len(data) if start and b"\n" not in data else data.rfind(b"\n") + 1)
        self.state = replace(self.state, position=self.position)

    def open(self) -> int:
        if self._descriptor is None:
            descriptor = os.open(self.target, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            if os.fstat(descriptor).st_ino != self.state.inode:
                os.close(descriptor)
                raise FileNotFoundError(self.target)
            self._descriptor = descriptor
        return self._descriptor

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _skip_hole(self) -> None:
        """Past the hole that a writer leaves who did not notice that the file was cut."""
        with contextlib.suppress(OSError):
            self.position = os.lseek(self.open(), self.position, os.SEEK_DATA)

    def _bytes(self, start: int, count: int) -> bytes:
        descriptor = self.open()
        data = os.pread(descriptor, count, start)
        # Only now: what was read before the file was found to be the same is of that file.
        first = os.pread(descriptor, HEAD_BYTES_MAX, 0)
        if os.fstat(descriptor).st_size < start + len(data) or not self.state.head.fits(first):
            raise Replaced
        if self.state.head.length < HEAD_BYTES_MAX and len(first) > self.state.head.length:
            self.state = replace(self.state, head=head_of(first))
        return data


def _whole_lines(data: bytes, bytes_max: int, final: bool) -> int:
    """How many bytes are whole lines; a line that is longer than may be read at once is cut."""
    cut = len(data) if final and len(data) < bytes_max else data.rfind(b"\n") + 1
    if not cut:
        return len(data) if len(data) >= bytes_max else 0
    if data.count(b"\n", 0, cut) > PIECE_LINES_MAX:
        return int(np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))[PIECE_LINES_MAX - 1]) + 1
    return cut


def first_bytes(path: Path) -> bytes:
    """Raises `OSError`."""
    return _bytes_at(path, 0)


def _bytes_at(path: Path, start: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return os.pread(descriptor, HEAD_BYTES_MAX, start)
    finally:
        os.close(descriptor)


def is_file_of(found: Found, state: FileState) -> bool:
    """Whether it is the file of this state: device, inode, first bytes, and nothing of it gone.

    The number of a device may change when a machine starts again; then the path has to be the same.
    """
    return (
        found.inode == state.inode
        and (found.device == state.device or text_of(found.target) == state.path)
        and found.size >= state.position
        and _fits(found.path, state.head)
    )


Listings = dict[Path, dict[int, Path]]
"""The files of folders by their inodes, kept for one look at many of them."""


def find_again(state: FileState, listings: Listings | None = None) -> Found | None:
    """The file of a state, under its name, or renamed in its folder."""
    found = look_at(Path(state.path))
    if found is not None and is_file_of(found, state):
        return found
    other = _listing(state, listings).get(state.inode)
    found = None if other is None else look_at(other)
    return found if found is not None and is_file_of(found, state) else None


def _listing(state: FileState, listings: Listings | None) -> dict[int, Path]:
    """Of the folder of the state's file."""
    folder = Path(os.path.realpath(state.path)).parent
    listings = {} if listings is None else listings
    if folder not in listings:
        listings[folder] = {inode: path for path, inode in beside(folder)}
    return listings[folder]


def passed_over(state: FileState, renamed: Found) -> Iterator[Found]:
    """The files that were begun under the name of the state's file after it was renamed, and were renamed in their
    turn before anybody looked: those beside it that are newer and have that name with a number or a date behind it,
    the oldest first.
    """
    name = state.name
    generation = _generation(renamed.target.name, name)
    others = [
        found
        for other, _ in beside(renamed.target.parent)
        if other.name.startswith(name)
        and _ROTATED.fullmatch(other.name[len(name) :])
        # One that got a last line late can be the newer by its time.
        and (not generation or _generation(other.name, name) <= generation)
        and (found := look_at(other))
    ]
    for found in sorted(others, key=lambda found: found.modified_ns):
        if found.inode != renamed.inode and found.modified_ns >= renamed.modified_ns:
            yield found


def _generation(rotated: str, name: str) -> int:
    """The number behind a name, which grows with each rotation; a date is none: 0."""
    return int(found[1]) if (found := _NUMBERED.fullmatch(rotated.removeprefix(name))) else 0


def find_copy(
    state: FileState, known: Collection[tuple[int, int]] = (), listings: Listings | None = None
) -> Found | None:
    """The newest copy that holds all of the file that was read, and maybe the rest: what rotation by copy leaves.

    `known`: devices and inodes of files that are none.
    """
    copies = []
    folders: dict[str, str] = {}
    for inode, other in _listing(state, listings).items():
        if (state.device, inode) in known:
            continue
        if inode != state.inode and (found := look_at(other, folders)) is not None and state.position <= found.size:
            with contextlib.suppress(OSError):
                if is_copy_of(found, state, first_bytes(other)):
                    copies.append(found)
    return max(copies, key=lambda found: found.modified_ns, default=None)


def is_copy_of(found: Found, state: FileState, first: bytes) -> bool:
    """Whether the file, with these first bytes, may be a copy of that of the state, whole or in part."""
    return (
        state.head.length >= _COPY_HEAD_MIN
        and found.inode != state.inode
        and state.head.fits(first)
        and text_of(found.target.parent) == os.path.dirname(state.path)
    )


def _fits(path: Path, head: Head) -> bool:
    try:
        return head.fits(first_bytes(path))
    except OSError:
        return False
