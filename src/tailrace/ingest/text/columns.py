"""What the reader of a named format tells of each line, beyond its time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

Format = Literal["found", "json", "logfmt", "rfc5424", "rfc3164", "access", "plain"]
"""`found`: whatever times and levels the lines are found to have; `access`: the Common Log Format of web servers and
the combined one; `plain`: nothing is read out."""

ATTRIBUTES_MAX = 200
"""So many names are read out of the lines of a chunk. Each takes a value of every line, so that a name of its own in
each would be memory by the square; and an event has room for ingest.fields_max. The line holds the others still."""


@dataclass(frozen=True, slots=True)
class Columns:
    """One value a line; null, and in attributes also empty, where the line does not tell it.

    `stamps` holds the text of the time where the format says which part of the line it is.
    """

    level: pa.StringArray | None = None
    service: pa.StringArray | None = None
    host: pa.StringArray | None = None
    trace_id: pa.StringArray | None = None
    span_id: pa.StringArray | None = None
    stamps: pa.StringArray | None = None
    attributes: dict[str, pa.StringArray] = field(default_factory=dict)


def or_null(texts: pa.StringArray) -> pa.StringArray:
    """Empty and `-`, as many formats write nothing, become null."""
    return pc.if_else(pc.is_in(texts, pa.array(["", "-"])), None, texts)


def coalesce(column: pa.StringArray | None, default: str | None, rows: int) -> pa.StringArray:
    """The column, or nulls, with the default in the place of nulls."""
    values = pa.nulls(rows, pa.string()) if column is None else column
    return values if default is None else pc.fill_null(values, default)
