"""All files that are followed: found, found again after rotation, and let go of when they are gone.

pattern ──look around──> new file ─┬─ its inode and first bytes are known: go on from its position
                                   ├─ it may be a copy of one that is about to be cut: wait and see
                                   └─ else from its start

renamed      the same inode: read to its end under whatever name, while the new file is begun
cut          fewer bytes than were read, or other first bytes: a new life from its start; what of the old one was
             not read yet is looked for in a copy beside it
removed      read to its end as long as it is open
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tailrace.client.shipper.finding import Found, Patterns, text_of
from tailrace.client.shipper.followed import (
    FollowedFile,
    Listings,
    Replaced,
    find_again,
    find_copy,
    first_bytes,
    is_copy_of,
    is_file_of,
    passed_over,
)
from tailrace.client.shipper.positions import FileState, Piece, Positions, head_of, new_id
from tailrace.client.shipper.reading import Read, ShipReading

OPEN_FILES_MAX = 1024
"""Files held open, half of what the process may at most. Idle ones beyond that are opened again when they grow."""

_ACTIVE_S = 10.0
"""A file that grew within so long is looked at each time; the others when the folders are."""

_PAUSE_EACH_S = 0.02
_PAUSE_MAX_S = 5.0
_PAUSE_BYTES = 64 << 10
"""To read a few lines takes milliseconds, most of it the same for many. Of many files that grow at once, each is read
less often, so that this takes about a fifth of a processor; those with more than so many bytes are read at once."""

_LAST_LINE_AFTER_S = 5.0
"""How long after its rename or removal a last line without an end is waited for."""

_RENAMED_FOR_S = 600.0
"""How long a renamed file is still looked at: its writer may not have noticed."""

_COPY_FOR_S = 10.0
"""How long a new file with the first bytes of another, which did not grow, may be the copy before the cut."""

_RENAMING_FOR_S = 10.0
"""How long a file that is not found is looked for: a chain of renames may have been going on just then."""

_MISSING_FOR_S = 3600.0
"""How long a file that is not to be seen is remembered: its disk may come back."""

_TRIES = 3
_NO_HEAD = head_of(b"")


@dataclass(slots=True)
class _Suspect:
    """A file that may be a copy; `since_s`: when it was seen to grow last."""

    size: int
    since_s: float


@dataclass(slots=True)
class _Missing:
    """A file that is not to be found; `unread_bytes` are told when it does not come again soon."""

    state: FileState
    since_s: float
    unread_bytes: int = 0


class Fleet:
    """One thread. `say` is told what a person should know: files that cannot be read, bytes that are gone."""

    def __init__(
        self,
        patterns: Patterns,
        reading: ShipReading,
        positions: Positions,
        *,
        from_end: bool,
        say: Callable[[str], None],
    ) -> None:
        """`from_end`: of the files that are there at the first look and not known yet, nothing is read."""
        self._patterns = patterns
        self._reading = reading
        self._positions = positions
        # Later runs go on where this one ends; what came in between is not left out.
        self._from_end = from_end and positions.is_new
        self._is_first_look = True
        self._say = say
        self._files: dict[str, FollowedFile] = {}
        self._by_inode: dict[tuple[int, int], FollowedFile] = {}
        self._suspects: dict[tuple[int, int], _Suspect] = {}
        self._missing: dict[str, _Missing] = {}
        self._renamed: list[tuple[FileState, Found]] = []
        self._unreadable: set[str] = set()
        self._open_max = self._open_room = _open_files_max()
        self._turn = 0
        self.lost_bytes = 0

    def __len__(self) -> int:
        return len(self._files)

    @property
    def unread_bytes(self) -> int:
        return sum(file.size - file.position for file in self._files.values() if file.has_more)

    def resume(self, now_s: float) -> None:
        """Take up the files of the journal, under whatever name they are found now."""
        listings: Listings = {}
        for state in self._positions.read_states():
            if found := find_again(state, listings):
                self._follow(found, state, now_s)
                if text_of(found.target) != state.path:
                    self._renamed.append((state, found))
            else:
                self._missing[state.id] = _Missing(state, now_s)
        for missing in list(self._missing.values()):
            # Cut, or replaced, while nobody looked: the rest may be in a copy.
            copy = find_copy(missing.state, self._by_inode, listings)
            if copy is not None and (copy.device, copy.inode) not in self._by_inode:
                self._missing.pop(missing.state.id)
                self._follow(copy, missing.state, now_s)
                self._renamed.append((missing.state, copy))

    def look_around(self, now_s: float) -> None:
        """Look for new files, and at all that are known."""
        seen = set()
        before = list(self._files.values())
        for found in self._patterns.find():
            file = self._by_inode.get((found.device, found.inode))
            if file is None:
                file = self._newcomer(found, before, now_s)
            else:
                if found.target != file.target:
                    file.path, file.target = found.path, found.target
                    file.state = replace(file.state, path=text_of(found.target))
                elif self._is_first_look and found.path != file.path:
                    file.take_name(found.path)
                file.see(found.size, found.modified_ns, now_s)
                if found.size < file.position:
                    file = self._cut(file, now_s)
            if file is not None:
                file.unseen_since_s = None
                seen.add(file.state.id)
        listings: Listings = {}
        for file in list(self._files.values()):
            if file.state.id not in seen:
                self._look_at_unseen(file, listings, now_s)
        for missing in list(self._missing.values()):
            self._look_for_missing(missing, listings, now_s)
        for state, found in self._renamed:
            self._follow_passed_over(state, found, now_s)
        self._renamed.clear()
        self._from_end = self._is_first_look = False
        self._close_idle()
        # A file that was seen once is known from now on, whatever becomes of its name.
        self._positions.flush()

    def read(self, bytes_max: int, *, now_s: float, now_us: int) -> Iterator[tuple[FollowedFile, int, Read]]:
        """What files have, each once, with the position at which it begins; the next call begins with other files.

        Stop taking when it is enough.
        """
        ready = [file for file in self._files.values() if file.has_more or now_s - file.changed_s < _ACTIVE_S]
        if not ready:
            return
        self._turn %= len(ready)
        pause_s = min(_PAUSE_MAX_S, len(ready) * _PAUSE_EACH_S)
        for file in ready[self._turn :] + ready[: self._turn]:
            read = self._read(file, bytes_max, pause_s, now_s, now_us)
            if read is not None:
                self._turn += 1
                # Behind a hole, where there was one.
                yield file, file.position - read.end, read

    def read_again(self, piece: Piece, *, now_us: int) -> Read | None:
        """The events of bytes that were read before; None when they are gone."""
        file = self._files.get(piece.id)
        for _ in range(_TRIES):
            if file is None:
                return None
            with self._opened(file):
                read = file.read_again(piece.start, piece.end, now_us=now_us)
            if read is not None:
                return read
            # It may have been renamed just now.
            found = find_again(file.read_state)
            if found is not None:
                file.close()
                file.target = found.target
        return None

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _read(self, file: FollowedFile, bytes_max: int, pause_s: float, now_s: float, now_us: int) -> Read | None:
        unseen_s = None if file.unseen_since_s is None else now_s - file.unseen_since_s
        final = unseen_s is not None and min(unseen_s, now_s - file.changed_s) >= _LAST_LINE_AFTER_S
        try:
            file.look(now_s)
            if now_s - file.read_s < pause_s and file.size - file.position < _PAUSE_BYTES:
                return None
            with self._opened(file):
                read = file.read(bytes_max=bytes_max, final=final, now_s=now_s, now_us=now_us)
        except Replaced:
            self._cut(file, now_s)
            return None
        except FileNotFoundError:
            # The next look around tells whether it was renamed.
            file.changed_s = now_s - _ACTIVE_S
            return None
        except OSError as error:
            self._cannot_read(text_of(file.path), error)
            return None
        if read is not None:
            self._positions.note(replace(file.state, position=self._acknowledged(file)))
        return read

    @contextlib.contextmanager
    def _opened(self, file: FollowedFile) -> Iterator[None]:
        """What opens the file to read it leaves it open only where there is room."""
        was_open = file.is_open
        try:
            yield
        finally:
            if file.is_open and not was_open:
                if self._open_room > 0:
                    self._open_room -= 1
                else:
                    file.close()

    def _acknowledged(self, file: FollowedFile) -> int:
        known = self._positions.files.get(file.state.id)
        return file.state.position if known is None else known.position

    def _newcomer(self, found: Found, before: list[FollowedFile], now_s: float) -> FollowedFile | None:
        """`before`: the files that were followed when this look around began."""
        try:
            first = first_bytes(found.path)
        except OSError as error:
            self._cannot_read(text_of(found.path), error)
            return None
        for missing in self._missing.values():
            if is_file_of(found, missing.state):
                self._missing.pop(missing.state.id)
                return self._follow(found, missing.state, now_s)
        place = (found.device, found.inode)
        if any(file.may_be_copied_as(found, first) for file in before) and self._to_be_waited_for(found, now_s):
            return None
        self._suspects.pop(place, None)
        path = found.target
        state = FileState(
            new_id(), found.device, found.inode, text_of(path), text_of(Path(path.name)), head_of(first), 0
        )
        file = self._follow(found, state, now_s)
        if self._from_end:
            with contextlib.suppress(OSError, Replaced):
                file.skip_to_end()
        self._positions.note(file.state)
        return file

    def _to_be_waited_for(self, found: Found, now_s: float) -> bool:
        """Whether the file that this one is a copy of may still be about to be cut."""
        place = (found.device, found.inode)
        suspect = self._suspects.get(place)
        if suspect is None or suspect.size != found.size:
            self._suspects[place] = _Suspect(found.size, now_s)
            return True
        return now_s - suspect.since_s < _COPY_FOR_S

    def _cut(self, file: FollowedFile, now_s: float) -> FollowedFile | None:
        """The file's new life. What is left of the old one is read from a copy, if there is one."""
        self._let_go(file)
        copy = find_copy(file.read_state)
        if copy is not None and (copy.device, copy.inode) not in self._by_inode:
            self._suspects.pop((copy.device, copy.inode), None)
            kept = self._follow(copy, file.read_state, now_s)
            kept.unseen_since_s = now_s
            self._renamed.append((file.state, copy))
        else:
            if copy is None and (lost := file.size_before - file.position) > 0:
                self._tell_lost(text_of(file.path), "was cut", lost)
            self._positions.forget(file.state.id)
        try:
            head = head_of(first_bytes(file.target))
            state = replace(file.state, id=new_id(), head=head, position=0)
            found = Found(file.path, file.target, state.device, state.inode, 0, 0)
            begun = self._follow(found, state, now_s)
            begun.unseen_since_s = file.unseen_since_s
            begun.look(now_s)
        except OSError:
            # Gone in the meantime; what comes in its place is found at the next look around.
            return None
        return begun

    def _follow(self, found: Found, state: FileState, now_s: float) -> FollowedFile:
        state = replace(state, device=found.device, inode=found.inode, path=text_of(found.target))
        file = FollowedFile(found, state, self._reading, now_s)
        self._files[state.id] = file
        self._by_inode[(found.device, found.inode)] = file
        if not file.has_more:
            # Nothing to read: one that is idle from the beginning is not opened at all.
            file.changed_s = now_s - _ACTIVE_S
        elif self._open_room > 0:
            # Open, it can be read under whatever name it has next.
            with contextlib.suppress(OSError), self._opened(file):
                file.open()
        return file

    def _follow_passed_over(self, state: FileState, found: Found, now_s: float) -> None:
        """A file has another name now: those that had its name since, and have it no more, are followed as well."""
        for other in list(passed_over(state, found)):
            known = (other.device, other.inode) in self._by_inode or self._patterns.leave_out(str(other.path))
            if not known and not self._is_copy(other):
                begun = FileState(new_id(), other.device, other.inode, text_of(other.target), state.name, _NO_HEAD, 0)
                self._positions.note(self._follow(other, begun, now_s).state)
        if file := self._files.get(state.id):
            file.state = replace(file.state, path=text_of(found.target))
            self._positions.note(replace(file.state, position=self._acknowledged(file)))

    def _is_copy(self, found: Found) -> bool:
        """Of a file that is followed: it is read there, or, once that is cut, from here."""
        try:
            first = first_bytes(found.path)
        except OSError:
            return True
        return any(is_copy_of(found, file.state, first) for file in self._files.values())

    def _let_go(self, file: FollowedFile) -> None:
        file.close()
        self._files.pop(file.state.id, None)
        self._by_inode.pop((file.state.device, file.state.inode), None)

    def _look_at_unseen(self, file: FollowedFile, listings: Listings, now_s: float) -> None:
        look_for = file.unseen_since_s is None
        unseen_since_s = file.unseen_since_s = now_s if file.unseen_since_s is None else file.unseen_since_s
        try:
            file.look(now_s)
        except OSError:
            look_for = True
        if look_for:
            found = find_again(file.read_state, listings)
            if found is not None and found.target != file.target:
                self._renamed.append((file.state, found))
                file.target = found.target
            if found is None and not file.is_open:
                self._let_go(file)
                self._missing[file.state.id] = _Missing(file.read_state, now_s, max(0, file.size - file.position))
                return
        if file.size < file.position:
            self._cut(file, now_s)
            return
        idle_s = min(now_s - file.changed_s, now_s - unseen_since_s)
        deleted = file.is_deleted()
        if not file.has_more and (idle_s >= _RENAMED_FOR_S or (deleted and idle_s >= _LAST_LINE_AFTER_S)):
            self._let_go(file)
            self._positions.forget(file.state.id)

    def _look_for_missing(self, missing: _Missing, listings: Listings, now_s: float) -> None:
        missing_s = now_s - missing.since_s
        if 0 < missing_s <= _RENAMING_FOR_S and (found := find_again(missing.state, listings)) is not None:
            if (found.device, found.inode) not in self._by_inode:
                self._missing.pop(missing.state.id)
                self._follow(found, missing.state, now_s).unseen_since_s = missing.since_s
                self._renamed.append((missing.state, found))
        elif missing_s > _RENAMING_FOR_S and missing.unread_bytes:
            self._tell_lost(missing.state.path, "is gone", missing.unread_bytes)
            missing.unread_bytes = 0
        if missing_s > _MISSING_FOR_S:
            self._missing.pop(missing.state.id)
            self._positions.forget(missing.state.id)

    def _close_idle(self) -> None:
        """The files that are open beyond the bound, those that have been idle for longest first."""
        opened = [file for file in self._files.values() if file.is_open]
        self._open_room = max(0, self._open_max - len(opened))
        if len(opened) > self._open_max:
            # One that is renamed and has more might not be found again.
            opened.sort(key=lambda file: (file.unseen_since_s is not None and file.has_more, file.changed_s))
            for file in opened[: len(opened) - self._open_max]:
                file.close()

    def _tell_lost(self, name: str, what: str, lost_bytes: int) -> None:
        self.lost_bytes += lost_bytes
        self._say(f"{name} {what}, and its last {lost_bytes:,} bytes were not read")

    def _cannot_read(self, name: str, error: OSError) -> None:
        if name not in self._unreadable:
            self._unreadable.add(name)
            self._say(f"{name} cannot be read: {error.strerror or error}")


def _open_files_max() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_FILES_MAX if soft == resource.RLIM_INFINITY else max(8, min(OPEN_FILES_MAX, soft // 2))
