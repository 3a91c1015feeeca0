"""How batches become entries of Redis, without a Redis."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.batch import IDENTITY, STORED_SCHEMA
from tailrace.store.hot_redis_format import Entry, Keys, decode_entry, entries_of, next_offsets
from tests.store.hot_rig import numbered

Identity = tuple[int, int, int]

_EVENT = {"timestamp": 1, "observed_timestamp": 1, "message": "", "attributes": {}}


def identities(rows: pa.RecordBatch) -> list[Identity]:
    return list(zip(*(rows[name].to_pylist() for name in IDENTITY), strict=True))


def of(*found: Identity) -> pa.RecordBatch:
    """An event of each identity."""
    rows = [{**_EVENT, **dict(zip(IDENTITY, identity, strict=True))} for identity in found]
    return pa.RecordBatch.from_pylist(rows, schema=STORED_SCHEMA)


@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 3)), max_size=8), min_size=1))
def test_entries_hold_each_identity_once_and_in_order(parts: list[list[Identity]]) -> None:
    """Whatever the order in the batches: by partition, then by offset and row."""
    entries = entries_of([of(*part) for part in parts])
    assert [found for entry in entries for found in identities(entry.rows)] == sorted(
        {i for part in parts for i in part}
    )
    assert len({entry.partition for entry in entries}) == len(entries)


@given(st.sets(st.integers(0, 30), min_size=1), st.integers(0, 32))
def test_above_cuts_at_the_offset(offsets: set[int], reached: int) -> None:
    """What is left are the rows of offsets that are not reached; None when there are none."""
    [entry] = entries_of([of(*((4, offset, row) for offset in sorted(offsets) for row in (0, 1)))])
    assert (entry.first, entry.next) == (min(offsets), max(offsets) + 1)
    rest = entry.above(reached)
    expected = [(4, offset, row) for offset in sorted(offsets) if offset >= reached for row in (0, 1)]
    assert (identities(rest.rows) if rest else []) == expected


def test_an_entry_comes_back() -> None:
    """Its rows are the ones that went in; and people can read what it is about."""
    entry = Entry(0, numbered(41, rows=2, level="ERROR", service="pay"))
    partition, first, next_offset, rows, newest, payload = entry.arguments()
    assert (partition, first, next_offset, rows, newest) == (0, 41, 42, 2, "ERROR pay 41-1")
    assert isinstance(payload, bytes)
    assert decode_entry({b"arrow": payload}).equals(entry.rows)


def test_a_slice_is_written_alone() -> None:
    """The bytes of an entry are those of its rows, not of the batch that they were cut from."""
    rows = numbered(0, rows=20_000)
    [whole], [part] = entries_of([rows]), entries_of([rows.slice(0, 10)])
    assert len(list(part.arguments())[-1]) * 20 < len(list(whole.arguments())[-1])  # type: ignore[arg-type]


def test_a_payload_that_is_none_is_told() -> None:
    """Damaged, or somebody else's."""
    with pytest.raises(KeyError):
        decode_entry({b"message": b"hello"})
    with pytest.raises(pa.ArrowInvalid):
        decode_entry({b"arrow": b"hello"})


def test_keys_and_offsets() -> None:
    """The keys of a log share a slot of a cluster; the hash tells how far each partition is."""
    keys = Keys("logs")
    assert keys.stream(3) == "tailrace:{logs}:hot:3"
    assert keys.partition_of(b"tailrace:{a:7}:hot:12") == 12
    assert keys.answer("ab") == "tailrace:{logs}:answers:ab"
    assert next_offsets({b"bytes": b"7", b"next:0": b"5", b"next:12": b"9007199254740993"}) == {
        0: 5,
        12: 9007199254740993,
    }
