"""Lines and their labels while a pipeline works on them: columns instead of an object for each line.

A label is in one of three places, as in Loki: of the *stream*, *metadata* of the event, or *parsed* from the line. A
column holds null where a line lacks the label; a label that was parsed hides one of its name in the other places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.query.leaves import SURROGATE

Mask = npt.NDArray[np.bool_]
Columns = Mapping[str, pa.StringArray]

ERROR, ERROR_DETAILS = "__error__", "__error_details__"
EXTRACTED = "_extracted"
"""What a name gets behind it when the stream or the metadata has a label of that name already."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """The labels of the events' own, made into columns when a name is asked for."""

    make: Callable[[str], pa.StringArray]
    """The column of a name, over every line that the frame began with."""
    names_at: Callable[[npt.NDArray[np.int64]], Sequence[str]]
    """The names that some of those lines have."""
    rows: npt.NDArray[np.int64]
    """Which of those lines are left."""
    changed: Columns
    """Columns that are no longer what `make` gives."""
    kept: frozenset[str] | None = None
    """All other names are gone; None: none is."""

    def column(self, name: str) -> pa.StringArray:
        if name in self.changed:
            return self.changed[name]
        if self.kept is not None and name not in self.kept:
            return pa.nulls(len(self.rows), pa.string())
        return self.make(name).take(pa.array(self.rows))

    def names(self) -> list[str]:
        made = [name for name in self.names_at(self.rows) if self.kept is None or name in self.kept]
        return list(dict.fromkeys((*made, *self.changed)))

    def only(self, names: frozenset[str]) -> Metadata:
        changed = {name: column for name, column in self.changed.items() if name in names}
        return replace(self, kept=names if self.kept is None else self.kept & names, changed=changed)

    def with_column(self, name: str, column: pa.StringArray) -> Metadata:
        return replace(self, changed={**self.changed, name: column})

    def filtered(self, mask: pa.BooleanArray, rows: npt.NDArray[np.int64]) -> Metadata:
        return replace(self, rows=rows, changed={name: column.filter(mask) for name, column in self.changed.items()})


@dataclass(frozen=True, slots=True)
class Frame:
    """Lines in the order they came, with their times in microseconds since 1970."""

    time_us: npt.NDArray[np.int64]
    lines: pa.StringArray
    base: Columns
    """The labels of the streams as they were at first: what new names must not collide with."""
    streams: Columns
    metadata: Metadata
    parsed: Columns
    errors: pa.StringArray
    """Null where a line has none."""
    error_details: pa.StringArray

    def __len__(self) -> int:
        return len(self.time_us)

    def get(self, name: str) -> pa.StringArray:
        """The label's value, wherever it is."""
        if name == ERROR:
            return self.errors
        if name == ERROR_DETAILS:
            return self.error_details
        found = [columns[name] for columns in (self.parsed, self.streams) if name in columns]
        metadata = self.metadata.column(name)
        if metadata.null_count < len(self) or not found:
            found.insert(1 if name in self.parsed else 0, metadata)
        return found[0] if len(found) == 1 else pc.coalesce(*found)

    def is_taken(self, name: str) -> Mask:
        """Where the stream or the metadata has the name, so that a parser has to choose another."""
        taken = present(self.metadata.column(name))
        return taken | present(self.base[name]) if name in self.base else taken

    def filtered(self, mask: Mask) -> Frame:
        if mask.all():
            return self
        keep = pa.array(mask)
        done: dict[int, pa.StringArray] = {}

        def kept(columns: Columns) -> Columns:
            for column in columns.values():
                if id(column) not in done:
                    done[id(column)] = column.filter(keep)
            return {name: done[id(column)] for name, column in columns.items()}

        return Frame(
            self.time_us[mask],
            self.lines.filter(keep),
            kept(self.base),
            kept(self.streams),
            self.metadata.filtered(keep, self.metadata.rows[mask]),
            kept(self.parsed),
            self.errors.filter(keep),
            self.error_details.filter(keep),
        )

    def taken(self, order: npt.NDArray[np.int64]) -> Frame:
        """The lines of these numbers, in this order."""
        places = pa.array(order)

        def of(columns: Columns) -> Columns:
            return {name: column.take(places) for name, column in columns.items()}

        metadata = replace(self.metadata, rows=self.metadata.rows[order], changed=of(self.metadata.changed))
        return Frame(
            self.time_us[order],
            self.lines.take(places),
            of(self.base),
            of(self.streams),
            metadata,
            of(self.parsed),
            self.errors.take(places),
            self.error_details.take(places),
        )

    def reversed(self) -> Frame:
        return self.taken(np.arange(len(self))[::-1].copy())

    def parts(self, rows: int) -> Iterator[Frame]:
        """The same lines, so many at a time."""
        for start in range(0, len(self), rows):
            yield self.taken(np.arange(start, min(start + rows, len(self))))

    def with_lines(self, lines: pa.StringArray) -> Frame:
        return replace(self, lines=lines)

    def with_parsed(self, name: str, values: pa.StringArray) -> Frame:
        """Set the label where `values` is not null, whatever it was."""
        if values.null_count == len(values):
            return self
        columns = {**self.parsed, name: _over(values, self.parsed.get(name))}
        metadata = self.metadata.column(name)
        frame = replace(self, parsed=columns)
        if metadata.null_count == len(metadata):
            return frame
        return replace(frame, metadata=self.metadata.with_column(name, without(metadata, present(values))))

    def without_label(self, name: str, mask: Mask) -> Frame:
        """Take the label away where the mask says so."""
        metadata = self.metadata.column(name)
        frame = self
        if metadata.null_count < len(metadata):
            frame = replace(frame, metadata=self.metadata.with_column(name, without(metadata, mask)))
        if name in self.parsed:
            frame = replace(frame, parsed={**self.parsed, name: without(self.parsed[name], mask)})
        if name in self.streams:
            frame = replace(frame, streams={**self.streams, name: without(self.streams[name], mask)})
        return frame

    def with_errors(self, kind: str, mask: Mask, details: str, *, first_counts: bool = False) -> Frame:
        """Mark lines; `first_counts`: an error that is there already stays."""
        if first_counts:
            mask = mask & ~present(self.errors)
        if not mask.any():
            return self
        where = pa.array(mask)
        return replace(
            self,
            errors=pc.if_else(where, pa.scalar(kind), self.errors),
            error_details=pc.if_else(where, pa.scalar(details), self.error_details),
        )

    def label_names(self) -> list[str]:
        """Every name that a line may have, errors apart."""
        return list(dict.fromkeys((*self.streams, *self.metadata.names(), *self.parsed)))


def present(column: pa.Array) -> Mask:
    """Where a column is not null."""
    if not column.null_count:
        return np.ones(len(column), bool)
    mask: Mask = pc.is_valid(column).to_numpy(zero_copy_only=False)
    return mask


def without(column: pa.StringArray, mask: Mask) -> pa.StringArray:
    return pc.if_else(pa.array(mask), pa.scalar(None, pa.string()), column)


def _over(values: pa.StringArray, below: pa.StringArray | None) -> pa.StringArray:
    return values if below is None else pc.coalesce(values, below)


def text_column(values: Iterable[str | None]) -> pa.StringArray:
    """A column of texts. Half a surrogate pair, which JSON can write and Unicode cannot, becomes a blank."""
    texts = list(values)
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        return pa.array([None if text is None else _paired(text) for text in texts], pa.string())


def _paired(text: str) -> str:
    """Two halves of a pair, written as two escapes, are their character."""
    if not SURROGATE.search(text):
        return text
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return SURROGATE.sub(" ", joined)


def sparse_column(rows: Sequence[int], values: Sequence[str], length: int) -> pa.StringArray:
    """A column of `length` with values at some rows, in rising order, and null elsewhere."""
    if len(rows) == length:
        return text_column(values)
    places = np.full(length, -1, np.int64)
    places[np.asarray(rows, np.int64)] = np.arange(len(rows))
    return text_column(values).take(pa.array(places, mask=places < 0))
