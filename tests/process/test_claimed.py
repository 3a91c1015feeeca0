"""Claims of rows: of what the client said, in any part of a record, and of nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tailrace.broker.kafka_split import split_record
from tailrace.broker.port import LogRecord, Record
from tailrace.model.batch import ARROW_STREAM, batch_of_rows, decode_batch, encode_batch, with_identity
from tailrace.model.claim import (
    DOCUMENTS,
    ONLY_STORE,
    ROW_CLAIMS,
    STORES,
    document_claims,
    has_only_documents_of,
    key_and_time,
)
from tailrace.process.claimed import is_for_store, row_claims_of


def batch(*attributes: dict[str, str], at_us: int = 5) -> pa.RecordBatch:
    times = {"timestamp": 1, "observed_timestamp": at_us, "message": ""}
    return batch_of_rows([{**times, "attributes": each} for each in attributes])


def record_of(events: pa.RecordBatch, headers: dict[str, str] | None = None) -> LogRecord:
    marks = {ROW_CLAIMS: DOCUMENTS} if headers is None else headers
    return LogRecord(2, 7, Record(ARROW_STREAM, encode_batch(events), events.num_rows, marks))


_TEXTS = st.text(max_size=6)
_ROWS = st.lists(
    st.dictionaries(st.sampled_from(["_id", "_index", "a", "b"]), _TEXTS, max_size=4), min_size=1, max_size=12
)


@given(_ROWS, st.integers(0, 3))
def test_the_claims_are_those_of_the_rows_with_an_id(rows: list[dict[str, str]], skip: int) -> None:
    """Equal for equal index and id, whatever part of a batch they are in, and different for all others."""
    events = with_identity(batch({}, {"_id": "before"}, *rows, {"_id": "behind"}), 0, 0).slice(2, len(rows))[skip:]
    rows = rows[skip:]
    numbers, claims = document_claims(events)
    assert numbers.tolist() == [number for number, row in enumerate(rows) if "_id" in row]
    named = [(rows[number].get("_index", ""), rows[number]["_id"]) for number in numbers.tolist()]
    assert len(set(claims)) == len(set(named)) == len(set(zip(claims, named, strict=True)))
    assert all(key_and_time(claim)[1] == 5 for claim in claims)


def test_a_claim_has_a_key_without_its_time() -> None:
    """So that two of different times are about the same document; an index and an id are not run together."""
    [early], [late], [other] = (
        document_claims(events)[1]
        for events in (batch({"_id": "bc", "_index": "a"}), batch({"_id": "bc", "_index": "a"}, at_us=9),
                       batch({"_id": "c", "_index": "ab"}))
    )  # fmt: skip
    assert key_and_time(early)[0] == key_and_time(late)[0] != key_and_time(other)[0]
    assert (key_and_time(early)[1], key_and_time(late)[1]) == (5, 9)


def test_only_records_that_say_so_have_claims_of_rows() -> None:
    """An attribute `_id` of other events is an attribute."""
    events = batch({"_id": "1"})
    assert row_claims_of(record_of(events, {}), events) is None
    assert row_claims_of(record_of(events, {ROW_CLAIMS: "of a later version"}), events) is None
    assert row_claims_of(record_of(batch({"a": "1"})), batch({"a": "1"})) is None
    found = row_claims_of(record_of(events), events)
    assert found is not None
    assert [claim[1:] for claim in found.claims] == [(2, 7)]


def test_what_is_not_held_and_what_comes_twice_is_left_out() -> None:
    """The first of several in a record stays, with the identity that it has."""
    events = with_identity(batch({"_id": "1"}, {}, {"_id": "2"}, {"_id": "1"}, {"_id": "3"}), 2, 7)
    found = row_claims_of(record_of(events), events)
    assert found is not None

    def held(answers: Sequence[bool]) -> list[Any]:
        rows: list[Any] = found.held(answers)["log_row"].to_pylist()
        return rows

    assert held([True, True, True, True]) == [0, 1, 2, 4]
    assert held([True, False, True, True]) == [0, 1, 4]
    assert held([False, False, False, False]) == [1]


def test_the_parts_of_a_split_record_claim_their_rows() -> None:
    """A record that is too large for Kafka loses nothing by it: each part has the header and its own ids."""
    events = batch(*({"_id": f"id-{number}" * 9, "_index": "web"} for number in range(500)))
    parts = split_record(record_of(events).record, 4000)
    assert len(parts) > 2
    claims: list[str] = []
    for part in parts:
        found = row_claims_of(LogRecord(0, 1, part), decode_batch(part.payload))
        assert found is not None
        claims += [key for key, _, _ in found.claims]
    assert claims == document_claims(events)[1]


def test_ids_that_a_step_has_made_are_told_from_the_clients() -> None:
    """Masked to one text, or taken from another field, they would make one event of many."""
    before = batch({"_id": "1"}, {"_id": "2"}, {"a": "x"})
    assert has_only_documents_of(before, before)
    assert has_only_documents_of(batch({"_id": "2"}, {}), before)
    assert has_only_documents_of(batch({}), batch({}))
    assert not has_only_documents_of(batch({"_id": "***"}, {"_id": "***"}), before)
    assert not has_only_documents_of(batch({"_id": "1"}, {"_id": "x"}), before)


def test_documents_of_several_indices_stay_apart_when_a_step_drops_the_index() -> None:
    """Their ids are the client's, but the same in both, so that one event of the two would be lost."""
    before = batch({"_id": "1", "_index": "web"}, {"_id": "1", "_index": "db"}, {"_id": "2"})
    assert has_only_documents_of(batch({"_id": "2"}, {"_id": "1", "_index": "db", "a": "x"}), before)
    assert not has_only_documents_of(batch({"_id": "1"}, {"_id": "1"}), before)
    assert not has_only_documents_of(batch({"_id": "2", "_index": "web"}), before)


def test_headers_of_other_programs_keep_nothing_from_a_store() -> None:
    """A producer may say `stores` of its shops; with our own records it names the stores they were routed to."""
    for name in (STORES, ONLY_STORE):
        assert not is_for_store(record_of(batch({}), {name: "other"}), "lake")
        assert is_for_store(LogRecord(0, 1, Record("application/json", b"{}", 0, {name: "other"})), "lake")
