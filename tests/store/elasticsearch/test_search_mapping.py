"""What a document has beside the event, so that a server can search it."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.batch import batch_of_rows, with_identity
from tailrace.query.leaves import number
from tailrace.query.to_elasticsearch_fields import TOKEN_CHARACTERS_MAX, VALUE_BYTES_MAX, number_key
from tailrace.query.tokens import tokens
from tailrace.store.elasticsearch.mapping import index_template
from tailrace.store.elasticsearch.mapping_derived import DERIVED_SCHEMA, TIME_US_MAX, derived, number_keys
from tests.query_strategies import NUMBERS, rows

BASE: dict[str, Any] = {"timestamp": 0, "observed_timestamp": 0, "message": ""}

PARTIAL: list[dict[str, Any]] = [
    {"message": f"a {'x' * (TOKEN_CHARACTERS_MAX + 1)}-b"},
    {"message": "é" * (TOKEN_CHARACTERS_MAX // 2 + 1)},  # counted in bytes, to be sure
    {"service": "a-" * VALUE_BYTES_MAX},
    {"host": "x" * (TOKEN_CHARACTERS_MAX + 1)},
    {"span_id": " " * (VALUE_BYTES_MAX + 1)},
    {"attributes": [("k", "-" * VALUE_BYTES_MAX)]},
    {"attributes": [("k", "v"), ("l", f"-{'x' * (TOKEN_CHARACTERS_MAX + 1)}")]},
    {"attributes": [("a=b", "c")]},
    {"timestamp": TIME_US_MAX + 1},
    {"timestamp": -(1 << 63)},
    {"observed_timestamp": -1},
    {"observed_timestamp": 1 << 62},
]
WHOLE: list[dict[str, Any]] = [
    {"message": "x" * TOKEN_CHARACTERS_MAX + "-" + "y" * TOKEN_CHARACTERS_MAX},
    {"message": f"{'long enough ' * 1000}"},
    {"service": "a-" * (VALUE_BYTES_MAX // 2), "trace_id": None},
    {"attributes": [("k", "a=b"), ("l", "-" * (VALUE_BYTES_MAX - 2)), ("m", None)]},
    {"timestamp": -TIME_US_MAX},
]


def derived_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    batch = derived(with_identity(batch_of_rows(events), 0, 0))
    assert batch.schema == DERIVED_SCHEMA
    batch.validate(full=True)
    found: list[dict[str, Any]] = batch.to_pylist()
    return found


@pytest.mark.slow
@given(st.lists(rows(), max_size=6), st.integers(0, 2))
def test_every_attribute_is_told_in_each_form(events: list[dict[str, Any]], skipped: int) -> None:
    """Also of a part of a batch; absent values are not told at all."""
    batch = with_identity(batch_of_rows(events), 0, 0).slice(skipped)
    found = derived(batch).to_pylist()
    for row, forms in zip(batch.to_pylist(), found, strict=True):
        present = [(name, value) for name, value in row["attributes"] if value is not None]
        assert forms["attribute_names"] == [name for name, _ in present]
        assert forms["attribute_pairs"] == [f"{name}={value}" for name, value in present]
        assert forms["other_text"] == [value for _, value in present]
        keys = [f"{name}={number_key(told)}" for name, value in present if (told := number(value)) is not None]
        assert forms["attribute_numbers"] == keys


@pytest.mark.parametrize("event", PARTIAL, ids=range(len(PARTIAL)))
def test_an_event_past_a_bound_is_partial(event: dict[str, Any]) -> None:
    """It alone, and not its neighbours."""
    found = derived_of([{**BASE, **row} for row in (WHOLE[0], event, WHOLE[1], {})])
    assert [row["partial"] for row in found] == [False, True, False, False]


def test_an_event_within_all_bounds_is_whole() -> None:
    """Up to the last byte, so that few are looked at in vain."""
    assert not any(row["partial"] for row in derived_of([{**BASE, **row} for row in WHOLE]))


@given(st.lists(st.text("ab_é-. ", min_size=0, max_size=12).map(lambda text: text * 200), max_size=5))
def test_no_event_with_a_long_token_is_taken_for_whole(messages: list[str]) -> None:
    """Wherever it stands, also where one text ends with a token and the next begins with one."""
    found = derived_of([{**BASE, "message": message} for message in messages])
    for message, row in zip(messages, found, strict=True):
        longest_bytes = max((len(token.encode()) for token in tokens(message)), default=0)
        assert row["partial"] == (longest_bytes > TOKEN_CHARACTERS_MAX)


@given(st.lists(st.sampled_from(NUMBERS) | st.floats(allow_nan=False).map(repr), min_size=1))
def test_keys_are_in_the_order_of_the_numbers(texts: list[str]) -> None:
    """Equal numbers have equal keys, however they are written; infinities that are words are no numbers."""
    numbers = [(told, text) for text in texts if (told := number(text)) is not None]
    keys = number_keys(pa.array([text for _, text in numbers], pa.string())).to_pylist()
    assert keys == [number_key(told) for told, _ in numbers]
    for (left, _), left_key in zip(numbers, keys, strict=True):
        for (right, _), right_key in zip(numbers, keys, strict=True):
            assert (left < right) == (left_key < right_key)
            assert not math.isnan(left)


@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_a_template_is_for_daily_indices_alone(kind: Any) -> None:
    """A field that nobody knows of is kept and not indexed, so that no document is refused for its type."""
    template = index_template(kind, "logs", shards=2, replicas=1)
    assert template["index_patterns"] == ["logs-*.*.*"]
    assert template["template"]["settings"]["number_of_shards"] == 2
    assert template["template"]["mappings"]["dynamic"] is False
