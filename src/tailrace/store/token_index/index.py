"""The token index: which row groups of a Parquet file can match, and how many rows do, without opening it.

One sidecar a file, built once (`build_index`) and never changed. docs/formats/token-index.md describes its bytes.
"""

from __future__ import annotations

import mmap
import os
import zlib
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tailrace.kernels.tokens.cut import Bools, hash_token, read_only
from tailrace.kernels.tokens.filter import filters_pass
from tailrace.model.batch import LEVELS
from tailrace.query.tokens import AllOf, AnyOf, Level, Required, Token, Unknown
from tailrace.store.token_index.build import build_index
from tailrace.store.token_index.counts import unpack_counts
from tailrace.store.token_index.format import (
    LEVEL_OTHER,
    DamagedIndex,
    Part,
    Patterns,
    levels_of_bits,
    read_directory,
    unpack_numbers,
    unpack_patterns,
)

__all__ = ["DamagedIndex", "TokenIndex", "build_index"]


class TokenIndex:
    """A token index, open for reading. Immutable, and shared between threads.

    Opening checks the header and the directory; the filters are checked by `verify` only, for they are most of the
    file; every other section is checked whenever it is read. Every method may raise `DamagedIndex`.

    `row_group_rows`: the rows of each row group, in the order of the file. `levels`: the levels of each, None for
    rows without one.
    """

    def __init__(self, buffer: bytes | memoryview | mmap.mmap, name: str = "token index") -> None:
        self._name = name
        self._buffer = memoryview(buffer)
        directory, self._counts_place = read_directory(self._buffer, name)
        self._directory = directory
        self.row_group_rows: list[int] = directory["rows"].tolist()
        self.levels: list[frozenset[str | None]] = [levels_of_bits(bits) for bits in directory["levels"].tolist()]
        self._payload = read_only(self._buffer, np.uint8)
        self._offsets, self._segment_sizes, self._segments, self._attempts = (
            directory[field].astype(np.int64) for field in ("filter_offset", "segment_size", "segments", "attempt")
        )

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Map the file into memory. Raises `OSError` when there is none."""
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise DamagedIndex(f"{os.fspath(path)}: the file is empty")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return cls(mapped, os.fspath(path))

    @property
    def counts(self) -> pa.Table | None:
        """Events by `minute_us` (start of the minute), `level` and `service`; None where these are too many."""
        place = f"{self._name}: the counts"
        return unpack_counts(self._checked(place, *self._counts_place), place)

    def candidates(self, required: Required) -> Bools:
        """For each row group whether it can hold a matching row: surely all that do, and 1 in 256 that do not."""
        if isinstance(required, Token):
            return self._may_hold(required.text)
        if isinstance(required, Level):
            bits = 1 << LEVELS.index(required.name) if required.name in LEVELS else 0
            return np.asarray(self._directory["levels"] & (bits | LEVEL_OTHER), np.bool_)
        if isinstance(required, Unknown):
            return np.ones(len(self._directory), np.bool_)
        found = np.full(len(self._directory), isinstance(required, AllOf), np.bool_)
        for part in required.parts:
            if isinstance(required, AnyOf):
                found |= self.candidates(part)
            else:
                found &= self.candidates(part)
        return found

    def count_exact(self, tokens: tuple[str, ...]) -> list[int | None]:
        """For each row group the number of rows that hold all tokens, or None when it must be read to know."""
        texts = [_folded(token) for token in tokens]
        possible = self.candidates(AllOf(tuple(Token(token) for token in tokens)))
        return [self._count(group, texts) if possible[group] else 0 for group in range(len(possible))]

    def rows_exact(self, group: int, tokens: tuple[str, ...]) -> npt.NDArray[np.int64] | None:
        """The rows of the group that hold all tokens, in order, or None when it must be read to know."""
        for token in tokens:
            if not self._may_hold(token)[group]:
                return np.empty(0, np.int64)
        found = self._holding(group, [_folded(token) for token in tokens])
        return None if found is None else np.flatnonzero(self._matching(group, *found))

    def verify(self) -> None:
        """Read and check every byte."""
        for group in range(len(self._directory)):
            self._section(group, "filter")
            self._numbers(group, self._patterns(group))
        _ = self.counts

    def _place(self, group: int, section: str) -> str:
        return f"{self._name}: row group {group}: the section of {section}"

    def _section(self, group: int, section: str) -> bytes:
        entry = self._directory[group]
        place = (int(entry[f"{section}_{field}"]) for field in ("offset", "bytes", "crc"))
        return self._checked(self._place(group, section), *place)

    def _checked(self, name: str, offset: int, size: int, crc: int) -> bytes:
        content = bytes(self._buffer[offset : offset + size])
        if zlib.crc32(content) != crc:
            raise DamagedIndex(f"{name} does not have its checksum; build the index again")
        return content

    def _may_hold(self, token: str) -> Bools:
        passed = np.empty(len(self._directory), np.bool_)
        filters_pass(
            hash_token(token),
            self._payload,
            self._offsets,
            self._segment_sizes,
            self._segments,
            self._attempts,
            passed,
        )
        return passed

    def _patterns(self, group: int) -> Patterns:
        place = self._place(group, "patterns")
        return unpack_patterns(self._section(group, "patterns"), self.row_group_rows[group], place)

    def _holding(self, group: int, texts: list[bytes]) -> tuple[Patterns, list[list[Bools]]] | None:
        """For each part and token the patterns that hold it; None when a token is not a frequent one."""
        patterns = self._patterns(group)
        numbers = [patterns.token_number(text) for text in texts]
        if any(number is None for number in numbers):
            return None
        return patterns, [
            [_holds(part, number) for number in numbers if number is not None] for part in patterns.parts
        ]

    def _count(self, group: int, texts: list[bytes]) -> int | None:
        found = self._holding(group, texts)
        if found is None:
            return None
        patterns, parts = found
        if not texts:
            return self.row_group_rows[group]
        concerned = _concerned(parts)
        if len(concerned) == 1:
            return int(patterns.parts[concerned[0]].rows[_together(parts[concerned[0]])].sum())
        return int(np.count_nonzero(self._matching(group, patterns, parts)))

    def _matching(self, group: int, patterns: Patterns, parts: list[list[Bools]]) -> Bools:
        """Each row of the group: does it hold every token, in one part or another?"""
        numbers = self._numbers(group, patterns)
        rows = self.row_group_rows[group]
        concerned = _concerned(parts)
        if len(concerned) == 1:
            return _of_rows(_together(parts[concerned[0]]), numbers[concerned[0]], rows)
        held = np.ones(rows, np.bool_)
        for token in range(len(parts[0]) if parts else 0):
            somewhere = np.zeros(rows, np.bool_)
            for part in concerned:
                somewhere |= _of_rows(parts[part][token], numbers[part], rows)
            held &= somewhere
        return held

    def _numbers(self, group: int, patterns: Patterns) -> list[npt.NDArray[np.int64] | None]:
        packed = self._section(group, "numbers")
        return unpack_numbers(packed, patterns, self.row_group_rows[group], self._place(group, "numbers"))


def _folded(token: str) -> bytes:
    return token.encode("utf-8", "surrogatepass").lower()


def _holds(part: Part, token: int) -> Bools:
    """For each of the part's patterns whether it holds the token."""
    return np.unpackbits(part.holds[token], count=len(part.rows), bitorder="little").view(np.bool_)


def _concerned(parts: list[list[Bools]]) -> list[int]:
    """The parts in which some pattern holds one of the tokens."""
    return [number for number, holds in enumerate(parts) if any(held.any() for held in holds)]


def _together(holds: list[Bools]) -> Bools:
    """For each pattern of a part whether it holds all tokens."""
    return np.asarray(np.logical_and.reduce(holds), np.bool_)


def _of_rows(patterns: Bools, numbers: npt.NDArray[np.int64] | None, rows: int) -> Bools:
    """From patterns to the rows that show them."""
    return np.full(rows, patterns[0]) if numbers is None else patterns[numbers]
