"""The token index against a plain-Python oracle that looks at every row."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.model.batch import LEVELS, batch_of_rows, with_identity
from tailrace.query.tokens import AllOf, AnyOf, Level, Required, Token, Unknown
from tailrace.store.token_index.index import TokenIndex, build_index

START = datetime.datetime(2025, 3, 28, 10, tzinfo=datetime.UTC)
MINUTE_US = 60_000_000
TOKEN = re.compile(rb"[0-9A-Za-z_\x80-\xff]+")
COLLIDING = ("declined_request", "4jxx__8aemzv_cqw")
"""Two tokens of one hash, found by search."""

Row = dict[str, Any]


def event(message: str, **fields: Any) -> Row:
    return {"timestamp": START, "observed_timestamp": START, "message": message, **fields}


def tokens_of(row: Row) -> set[str]:
    texts = [row.get(name) for name in ("message", "service", "host", "trace_id", "span_id")]
    texts += row.get("attributes", {}).values()
    return {token.lower().decode() for text in texts if text for token in TOKEN.findall(text.encode())}


def holds(row: Row, required: Required) -> bool:
    match required:
        case Token(text):
            return text in tokens_of(row)
        case Level(name):
            return bool(row.get("level") == name)
        case AllOf(parts):
            return all(holds(row, part) for part in parts)
        case AnyOf(parts):
            return any(holds(row, part) for part in parts)
        case Unknown():
            return True


def index_of(*groups: list[Row]) -> TokenIndex:
    return TokenIndex(build_index(batch_of_rows(rows) for rows in groups))


WORDS = st.sampled_from(["payment", "Declined", "card", "x", "é世", "a1", "200", *COLLIDING])
TEXTS = st.one_of(
    st.lists(WORDS, max_size=5).map(" ".join),
    st.sampled_from(["payment declined for user", "cache miss", "payment accepted", "cache-miss payment"]),
    st.text(alphabet="abZ_09 é-:\x00", max_size=12),
)
FIELDS = st.one_of(st.none(), st.sampled_from(["payment-api", "web", ""]), TEXTS)
ROWS = st.builds(
    lambda message, second, **fields: {
        **event(message, **fields),
        "timestamp": START + datetime.timedelta(seconds=second),
    },
    message=TEXTS,
    second=st.integers(-200, 200),
    level=st.sampled_from([*LEVELS, None]),
    service=FIELDS,
    host=FIELDS,
    trace_id=FIELDS,
    span_id=FIELDS,
    attributes=st.dictionaries(st.sampled_from(["key", "b"]), TEXTS, max_size=2),
)
# Repeated, so that tokens become frequent.
GROUPS = st.lists(
    st.tuples(st.lists(ROWS, max_size=12), st.integers(1, 12)).map(lambda pair: pair[0] * pair[1]),
    min_size=1,
    max_size=3,
)
TOKENS = st.one_of(
    st.sampled_from(["payment", "declined", "miss", "web", "x", "absent", "é世", "key", *COLLIDING]),
    st.text(alphabet="abz_09é", min_size=1, max_size=3),
)
REQUIRED = st.recursive(
    st.one_of(TOKENS.map(Token), st.sampled_from(LEVELS).map(Level), st.just(Unknown())),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: AllOf(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
    ),
    max_leaves=5,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(GROUPS, st.lists(REQUIRED, max_size=8))
def test_candidates_never_leave_out_a_row_group_that_matches(
    groups: list[list[Row]], queries: list[Required]
) -> None:
    """Whatever is required, and for every token that is there, each group with a matching row is a candidate."""
    index = index_of(*groups)
    present = {token for rows in groups for row in rows for token in tokens_of(row)}
    for required in [*queries, *map(Token, present)]:
        candidates = index.candidates(required)
        assert candidates.dtype == np.bool_
        for rows, candidate in zip(groups, candidates, strict=True):
            assert candidate or not any(holds(row, required) for row in rows)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(GROUPS, st.lists(st.lists(TOKENS, max_size=3).map(tuple), max_size=8))
def test_exact_counts_and_rows_are_exact(groups: list[list[Row]], queries: list[tuple[str, ...]]) -> None:
    """A count or a list of rows that is given is the oracle's, for one token and for several."""
    index = index_of(*groups)
    assert index.row_group_rows == [len(rows) for rows in groups]
    present = sorted({token for rows in groups for row in rows for token in tokens_of(row)})
    for query in [*queries, *((token,) for token in present)]:
        for group, (rows, count) in enumerate(zip(groups, index.count_exact(query), strict=True)):
            expected = [number for number, row in enumerate(rows) if tokens_of(row) >= set(query)]
            found = index.rows_exact(group, query)
            assert (found is None) == (count is None)
            if found is not None:
                assert found.tolist() == expected
                assert count == len(expected)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(GROUPS)
def test_counts_and_levels_are_a_group_by(groups: list[list[Row]]) -> None:
    """The counts by minute, level and service, and the levels of each group, are those of the rows."""
    index = index_of(*groups)
    assert index.levels == [frozenset(row["level"] for row in rows) for rows in groups]
    expected = Counter(
        (int(row["timestamp"].timestamp()) // 60 * MINUTE_US, row["level"], row["service"])
        for rows in groups
        for row in rows
    )
    counts = index.counts
    assert counts is not None
    assert Counter({tuple(cell.values())[:3]: cell["count"] for cell in counts.to_pylist()}) == expected


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(GROUPS, st.integers(0, 5), st.integers(0, 20))
def test_slices_and_stored_batches_give_the_same_bytes(groups: list[list[Row]], start: int, size: int) -> None:
    """A slice, with its offsets and bitmaps, is indexed like a batch of its rows; the identity is not looked at."""
    whole = batch_of_rows([row for rows in groups for row in rows])
    part = whole.slice(start, size)
    copied = pa.RecordBatch.from_pylist(part.to_pylist(maps_as_pydicts="strict"), schema=part.schema)
    assert build_index([part, with_identity(part, 0, 7)]) == build_index([copied, copied])


def templated(rows: int) -> list[Row]:
    return [
        event(
            f"payment {number} declined for user {number % 700}" if number % 3 else f"cache miss {number}",
            service=("payment-api", "cache", None)[number % 3],
            host=f"web{number % 4}",
            trace_id=f"{number:032x}",
            attributes={"path": f"/cart/{number % 2}"},
            level=LEVELS[number % 6],
        )
        for number in range(rows)
    ]


def test_frequent_words_are_counted_without_a_row() -> None:
    """On templated logs words are counted, across columns too; a rare number must be read, an absent one is 0."""
    rows = templated(3000)
    index = index_of(rows, rows[:100])
    for query in [("payment",), ("payment", "declined"), ("miss", "web2"), ("api", "cart", "0"), ()]:
        expected = [sum(tokens_of(row) >= set(query) for row in part) for part in (rows, rows[:100])]
        assert index.count_exact(query) == expected
    assert index.count_exact(("2999",)) == [None, 0]
    assert index.count_exact(("payment", "2999")) == [None, 0]


def test_tokens_of_one_hash_are_not_taken_for_each_other() -> None:
    """Two frequent tokens whose hashes collide are both left to be read; one alone is counted by its bytes."""
    one, other = COLLIDING
    both = index_of([event(f"{one} x"), event(f"{other} x")] * 40)
    assert both.count_exact((one,)) == both.count_exact((other,)) == [None]
    alone = index_of([event(f"{one} x"), event("y x")] * 40)
    assert alone.count_exact((one,)) == [40]
    assert alone.count_exact((other,)) == [None]


def test_too_many_patterns_give_up_variables_before_words() -> None:
    """When frequent tokens vary without a pattern, numbers are given up first and the words stay exact."""
    random = np.random.default_rng(1)
    rows = [
        event("step " + " ".join(f"{column}_{value}" for column, value in enumerate(values)) + " done")
        for values in random.integers(0, 12, (4000, 6))
    ]
    index = index_of(rows)
    assert index.count_exact(("step", "done")) == [4000]
    assert index.count_exact(("0_1",)) == [None]


def test_words_that_vary_without_a_pattern_are_left_to_be_read() -> None:
    """Random prose has no patterns: the index stays small, and says that it must be read."""
    random = np.random.default_rng(2)
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "mu", "nu", "xi"]
    rows = [event("always " + " ".join(random.permutation(words)[:6])) for _ in range(4000)]
    payload = build_index([batch_of_rows(rows)])
    assert TokenIndex(payload).count_exact(("always",)) == [4000]
    assert len(payload) < 2 * len(rows)


def test_huge_and_very_many_tokens_are_bounded() -> None:
    """A token of a megabyte and a row of thousands of words are found, and do not fill the directory."""
    huge = "q" * (1 << 20)
    many = " ".join(f"w{number}" for number in range(6000))
    rows = [event(many), event(f"{huge} end")] * 9
    payload = build_index([batch_of_rows(rows)])
    index = TokenIndex(payload)
    assert index.candidates(AllOf((Token(huge), Token("w5999")))).tolist() == [True]
    assert index.count_exact(("end",)) in ([9], [None])
    assert index.count_exact((huge,)) == [None]
    assert len(payload) < 40_000


def letters(number: int) -> str:
    return chr(97 + number // 26) + chr(97 + number % 26) + "_"


def exactly_as_the_oracle(rows: list[Row], queries: list[tuple[str, ...]]) -> None:
    index = index_of(rows)
    held = [tokens_of(row) for row in rows]
    for query in queries:
        expected = [number for number, tokens in enumerate(held) if tokens >= set(query)]
        found = index.rows_exact(0, query)
        assert index.count_exact(query) == [len(expected)]
        assert found is not None
        assert found.tolist() == expected


def test_hundreds_of_patterns_are_told_apart() -> None:
    """More than 256 patterns of a part take two bytes a row."""
    pairs = np.random.default_rng(3).integers(0, 20, (6000, 2))
    rows = [event(f"left_{letters(left)} right_{letters(right)}") for left, right in pairs.tolist()]
    words = [(f"left_{letters(number)}", f"right_{letters(19 - number)}") for number in range(20)]
    exactly_as_the_oracle(rows, [*words, *((left,) for left, _ in words)])


def test_columns_with_nothing_in_common_are_joined_by_rows() -> None:
    """Where columns vary apart from each other, a row's tokens come from several parts."""
    random = np.random.default_rng(4)
    numbers = random.integers(0, 30, (6000, 3)) * random.integers(0, 2, (6000, 3))
    rows = [
        event(f"did_{letters(a)}", service=f"of_{letters(b)}", host=f"at_{letters(c % 3)} did_{letters(a % 3)}")
        for a, b, c in numbers.tolist()
    ]
    queries = [
        ("did_aa_", "of_aa_"),
        ("did_ab_", "at_aa_"),
        ("of_ad_", "at_ab_"),
        ("did_ac_",),
        ("did_ab_", "did_ae_"),
    ]
    exactly_as_the_oracle(rows, queries)


def test_counts_are_given_up_when_they_are_too_many() -> None:
    """A service for each event would make the counts as large as the events."""
    rows = [event("x", service=f"service-{number}") for number in range(20_001)]
    assert index_of(rows).counts is None
    assert index_of(rows[:10_000], rows[10_000:]).counts is None
    cells = index_of(rows[:20_000]).counts
    assert cells is not None
    assert cells.num_rows == 20_000


def test_files_without_rows_or_groups() -> None:
    """No group, and a group without rows, are answered like any other."""
    assert index_of().candidates(Token("x")).tolist() == []
    empty = index_of([])
    assert empty.candidates(Token("x")).tolist() == [False]
    assert empty.count_exact(("x",)) == [0]
    assert empty.count_exact(()) == [0]
    assert empty.levels == [frozenset()]


def test_open_maps_a_file(tmp_path: Path) -> None:
    """What was written is read back from the file, and every checksum fits."""
    path = tmp_path / "part.tokens"
    path.write_bytes(build_index([batch_of_rows(templated(200))]))
    index = TokenIndex.open(path)
    index.verify()
    assert index.count_exact(("declined",)) == [133]
    with pytest.raises(FileNotFoundError):
        TokenIndex.open(tmp_path / "absent")
