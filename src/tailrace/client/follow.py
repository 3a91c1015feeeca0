"""A file that grows, as `tail -F` reads it: it may be renamed and begun anew, truncated, or not be there yet."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from tailrace.client.send_source import CHUNK_BYTES


class FollowedFile:
    """One path. The position is kept in memory only: a new process begins at the file's start or end again."""

    def __init__(self, path: Path, *, from_end: bool) -> None:
        """`from_end`: leave out what is in the file now. A file that comes later is read from its start."""
        self.path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self._open()
        if from_end and self._file is not None:
            self._file.seek(0, os.SEEK_END)

    def read(self) -> bytes:
        """Whole lines that were written since the last call, up to about a chunk; empty when there are none.

        A line without its end is held back until the end comes, or until another file takes the place of this one.
        """
        if self._file is None and not self._open():
            return b""
        assert self._file is not None
        part = self._file.read(CHUNK_BYTES)
        if not part and self._replaced():
            # Only now, when the old file is read to its end: its writer may have gone on after the rename.
            last, self._rest = self._rest, b""
            self._file.close()
            self._file = None
            self._open()
            return last + b"\n" if last else self.read()
        text = self._rest + part
        cut = text.rfind(b"\n") + 1
        self._rest = text[cut:]
        return text[:cut]

    def close(self) -> bytes:
        """Let go of the file; returns the last line if its end never came."""
        if self._file is not None:
            self._file.close()
            self._file = None
        last, self._rest = self._rest, b""
        return last

    def _open(self) -> bool:
        try:
            # Unbuffered: a buffered file would not see what is appended behind an end of file that it met.
            self._file = self.path.open("rb", buffering=0)
        except OSError:
            return False
        return True

    def _replaced(self) -> bool:
        """Whether the path holds another file now, or the same file was cut shorter than what was read."""
        assert self._file is not None
        try:
            there = os.stat(self.path)
        except OSError:
            return False
        here = os.fstat(self._file.fileno())
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino) or here.st_size < self._file.tell()
