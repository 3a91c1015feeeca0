"""The operations of the ledger, from bytes alone."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.batch import encode_batch
from tailrace.store.dead_letters import Identity
from tailrace.store.ledger_operations import OPERATION, Add, Claim, Drop, Operation, decode_operation
from tailrace.store.operation import Meet
from tests.store.test_dead_letters import letters

offsets = st.integers(0, 2**63 - 1)
small = st.integers(0, 2**31 - 1)
texts = st.text(st.characters(codec="utf-8"), max_size=20)

adds = st.lists(st.tuples(st.binary(max_size=50), small, offsets, small), min_size=1, max_size=5).map(
    lambda rows: Add(letters(*(row[0] for row in rows)), [row[1:] for row in rows])
)
claims = st.builds(Claim, st.lists(st.tuples(texts, small, offsets), min_size=1, max_size=5), st.integers(0, 10**15))
drops = st.builds(Drop, st.builds(Identity, small, offsets, small, texts))


@given(st.one_of(adds, claims, drops, st.just(Meet())))
def test_what_is_encoded_is_decoded(operation: Operation) -> None:
    """Any values, at their bounds too."""
    headers, payload = operation.encode()
    assert decode_operation(OPERATION, headers, payload) == operation


@given(st.sampled_from(["add", "claim", "drop", "", "more"]), st.binary(max_size=200), st.text(max_size=5))
def test_what_is_no_operation_is_a_value_error(name: str, payload: bytes, at_us: str) -> None:
    """Whatever the bytes: the reason is told, and nothing else is raised."""
    with pytest.raises(ValueError, match=r"operation|payload|columns|time|letters"):
        decode_operation(OPERATION, {"operation": name, "at-us": at_us}, payload)


def test_columns_are_checked() -> None:
    """Other columns, nulls and texts that are not UTF-8 are no operations: they could not be applied."""
    headers, _ = Claim([("k", 0, 1)], 5).encode()
    types = [pa.string(), pa.int32(), pa.int64()]
    names = ["key", "log_partition", "log_offset"]
    fields = [pa.field(name, type, nullable=False) for name, type in zip(names, types, strict=True)]
    broken = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")])
    good = [pa.array([0], pa.int32()), pa.array([1], pa.int64())]
    for columns, schema in (
        ([pa.array(["k"]), *good], pa.schema(fields).append(pa.field("x", pa.int8()))),
        ([pa.array([None], pa.string()), *good], pa.schema(fields)),
        ([broken, *good], pa.schema(fields)),
    ):
        whole = [*columns, pa.array([1], pa.int8())][: len(schema)]
        payload = encode_batch(pa.RecordBatch.from_arrays(whole, schema=schema))
        with pytest.raises(ValueError, match="claim"):
            decode_operation(OPERATION, headers, payload)


def test_another_content_type_is_no_operation() -> None:
    """As when somebody else writes to the topic."""
    headers, payload = Meet().encode()
    with pytest.raises(ValueError, match="text/plain"):
        decode_operation("text/plain", headers, payload)
