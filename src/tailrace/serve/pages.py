"""A page of events and the cursor behind it."""

from __future__ import annotations

from dataclasses import dataclass

import orjson
import pyarrow as pa

from tailrace.serve.cursors import decode_cursor, encode_cursor
from tailrace.serve.rendering import Renderer
from tailrace.store.port import Cursor, Order, Selection, Snapshot


@dataclass(frozen=True, slots=True)
class Page:
    """`events` has STORED_SCHEMA; `next_cursor` is None behind the last match."""

    events: pa.Table
    next_cursor: str | None


def read_page(snapshot: Snapshot, selection: Selection, *, order: Order, limit: int, cursor: str | None) -> Page:
    """Raises `BadInput` for a damaged cursor."""
    after = decode_cursor(cursor) if cursor else None
    # One row more than asked for tells whether there is a next page.
    found = snapshot.search(selection, order=order, limit=limit + 1, after=after)
    if found.num_rows <= limit:
        return Page(found, None)
    events = found.slice(0, limit)
    return Page(events, encode_cursor(cursor_at(events, limit - 1)))


def cursor_at(events: pa.Table, row: int) -> Cursor:
    last = events.slice(row, 1)
    return Cursor(
        last["timestamp"].cast(pa.int64())[0].as_py(),
        last["log_partition"][0].as_py(),
        last["log_offset"][0].as_py(),
        last["log_row"][0].as_py(),
    )


def page_body(page: Page, renderer: Renderer, *, name: str) -> bytes:
    """`{NAME: [events], "count": n, "next_cursor": … or null}`"""
    tail = orjson.dumps({"count": page.events.num_rows, "next_cursor": page.next_cursor})
    return b'{"' + name.encode() + b'":' + renderer.array(page.events) + b"," + tail[1:]
