"""The token kernels against their plain-Python twins."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.kernels.tokens.cut import (
    PADDING_BYTES,
    SKETCH_BITS,
    Tokens,
    cut_tokens,
    fold_bytes,
    hash_token,
    read_only,
)
from tailrace.kernels.tokens.filter import (
    PROBES_MAX,
    collect_distinct,
    drain,
    fill_filter,
    filter_shape,
    filters_pass,
)

WORD = (1 << 64) - 1
SEED = 0x9E3779B97F4A7C15
MULTIPLIER = 0xD6E8FEB86659FD93

TEXTS = st.one_of(
    st.text(alphabet="azAZ09_ -:é世\x00\x7f\u0080", max_size=40),
    st.text(max_size=20),
    st.integers(1, 40).map(lambda size: "Ab3_" * size),
)


def cut(text: bytes) -> list[bytes]:
    """The twin of fold_bytes and cut_tokens."""
    return [token.lower() for token in re.findall(rb"[0-9A-Za-z_\x80-\xff]+", text)]


def hash_of(token: bytes) -> int:
    """The twin of the hash."""
    state = SEED
    for at in range(0, len(token), 8):
        state = ((state ^ int.from_bytes(token[at : at + 8], "little")) * MULTIPLIER) & WORD
        state ^= state >> 32
    state = (state * MULTIPLIER) & WORD
    state ^= state >> 29
    state = (state * SEED) & WORD
    state ^= state >> 32
    return state or SEED


def cut_by_kernel(
    texts: list[bytes], valid: list[bool] | None = None, shift: int = 0
) -> tuple[list[list[bytes]], list[int], npt.NDArray[np.int32]]:
    """Tokens of each text, all hashes, and the sketch. `shift` moves the texts and their validity bits."""
    data = b"x" * shift + b"".join(texts)
    words = np.full((len(data) + PADDING_BYTES + 7) // 8, WORD, np.uint64)
    folded = words.view(np.uint8)
    offsets = np.cumsum([shift, *map(len, texts)]).astype(np.int32)
    tokens_max = fold_bytes(read_only(data, np.uint8), folded[: len(data)]) + len(texts)
    tokens = Tokens(np.zeros(tokens_max, np.uint64), np.zeros(tokens_max, np.int64), np.zeros(tokens_max, np.int32))
    bits = (
        b""
        if valid is None
        else np.packbits(np.array([False] * shift + valid, np.bool_), bitorder="little").tobytes()
    )
    bounds = np.zeros(len(texts) + 1, np.int64)
    sketch = np.zeros(1 << SKETCH_BITS, np.int32)
    offsets_only, validity = read_only(offsets.tobytes(), np.int32), read_only(bits, np.uint8)
    end = cut_tokens(folded, words, shift, offsets_only, validity, shift, tokens, 0, bounds, sketch)
    assert end <= tokens_max
    found = [
        [folded[tokens.starts[i] :][: tokens.lengths[i]].tobytes() for i in range(bounds[row], bounds[row + 1])]
        for row in range(len(texts))
    ]
    return found, [int(value) for value in tokens.hashes[:end]], sketch


@settings(deadline=None)  # the first call compiles
@given(st.lists(TEXTS, max_size=12), st.integers(0, 9))
def test_tokens_and_hashes_are_the_twins(texts: list[str], shift: int) -> None:
    """Every text is cut into the tokens of the rule, with their hashes, wherever it lies in the buffer."""
    raw = [text.encode() for text in texts]
    found, hashes, sketch = cut_by_kernel(raw, shift=shift)
    expected = [cut(text) for text in raw]
    assert found == expected
    assert hashes == [hash_of(token) for tokens in expected for token in tokens]
    counted = np.bincount([value >> (64 - SKETCH_BITS) for value in hashes], minlength=1 << SKETCH_BITS)
    assert np.array_equal(sketch, counted)


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.tuples(TEXTS, st.booleans()), max_size=20), st.integers(0, 9))
def test_nulls_have_no_tokens(values: list[tuple[str, bool]], shift: int) -> None:
    """Bytes under a null are not looked at, wherever the bitmap starts."""
    found, _, _ = cut_by_kernel([text.encode() for text, _ in values], [valid for _, valid in values], shift)
    assert found == [cut(text.encode()) if valid else [] for text, valid in values]


@settings(deadline=None)  # the first call compiles
@given(TEXTS)
def test_hash_token_is_the_hash_of_the_column(text: str) -> None:
    """A query's token, in any case, has the hash it has in a column."""
    for token in cut(text.encode()):
        assert int(hash_token(token.decode())) == hash_of(token) == int(hash_token(token.upper().decode()))


def test_a_token_of_a_megabyte_is_one_token() -> None:
    """Tokens have no greatest length."""
    found, hashes, _ = cut_by_kernel([b"start " + b"Q" * (1 << 20) + b" end"])
    assert [len(token) for token in found[0]] == [5, 1 << 20, 3]
    assert hashes[1] == hash_of(b"q" * (1 << 20))


def collected(hashes: npt.NDArray[np.uint64], bits: int) -> npt.NDArray[np.uint64] | None:
    table = np.zeros((1 << bits) + PROBES_MAX, np.uint64)
    if not collect_distinct(hashes, table, 64 - bits):
        return None
    keys = np.empty(len(hashes), np.uint64)
    return keys[: drain(table, keys)]


def built(keys: npt.NDArray[np.uint64]) -> tuple[int, npt.NDArray[np.uint8]]:
    shape = filter_shape(len(keys))
    out = np.zeros(shape.size, np.uint8)
    counts, sums = np.empty(shape.size, np.uint8), np.empty(shape.size, np.uint64)
    queue, order = np.empty(shape.size, np.int64), np.empty(2 * len(keys), np.uint64)
    attempt = fill_filter(keys, shape.segment_size, shape.segments, counts, sums, queue, order, out)
    return attempt, out


def passing(key: int, keys: int, attempt: int, out: npt.NDArray[np.uint8]) -> bool:
    shape = filter_shape(keys)
    passed = np.empty(1, np.bool_)
    offset, size, segments, attempts = (np.array([n]) for n in (0, shape.segment_size, shape.segments, attempt))
    filters_pass(np.uint64(key), read_only(out.tobytes(), np.uint8), offset, size, segments, attempts, passed)
    return bool(passed[0])


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.integers(1, WORD), max_size=200))
def test_distinct_hashes_are_collected_once(values: list[int]) -> None:
    """The table leaves out doubles and loses nothing, or says that it is crowded."""
    keys = collected(np.array(values, np.uint64), 9)
    assert keys is not None
    assert sorted(keys.tolist()) == sorted(set(values))


def test_a_crowd_of_hashes_is_refused() -> None:
    """Hashes made to fall into one slot do not make the table slow: it gives up after a bounded number of steps."""
    assert collected(np.arange(1, 1000, dtype=np.uint64), 11) is None


@settings(deadline=None)  # the first call compiles
@given(st.sets(st.integers(1, WORD), max_size=300))
def test_every_key_passes_its_filter(values: set[int]) -> None:
    """A filter of any number of keys, none and one included, never says that a key is absent."""
    attempt, out = built(np.array(sorted(values), np.uint64))
    assert attempt >= 0
    assert all(passing(key, len(values), attempt, out) for key in values)


def test_one_absent_key_in_256_passes() -> None:
    """The share of absent keys that pass is that of eight bits, at less than ten bits a key."""
    random = np.random.default_rng(7)
    keys = np.unique(random.integers(1, WORD, 100_000, np.uint64))
    attempt, out = built(keys)
    shape = filter_shape(len(keys))
    absent = random.integers(1, WORD, 20_000, np.uint64)
    offset, size, segments, attempts = (np.array([n]) for n in (0, shape.segment_size, shape.segments, attempt))
    payload, passed, passes = read_only(out.tobytes(), np.uint8), np.empty(1, np.bool_), 0
    for key in absent:
        filters_pass(key, payload, offset, size, segments, attempts, passed)
        passes += int(passed[0])
    assert passes / len(absent) < 1 / 150
    assert 8 * len(out) / len(keys) < 10


def test_a_filter_that_was_not_built_lets_everything_pass() -> None:
    """Attempt -1 stands for no filter: anything may be there; segment size 0 for no keys: nothing is."""
    passed = np.empty(2, np.bool_)
    zero = np.zeros(2, np.int64)
    filters_pass(np.uint64(5), read_only(b"", np.uint8), zero, zero, zero, np.array([-1, 0]), passed)
    assert passed.tolist() == [True, False]


WARM = """
import datetime, pyarrow as pa
from tailrace.kernels.tokens import compile, cut, filter, frequent
from tailrace.model.batch import batch_of_rows
from tailrace.store.token_index.index import TokenIndex, build_index
compile.warm_up()
kernels = {
    name: kernel for module in (cut, filter, frequent)
    for name, kernel in vars(module).items() if hasattr(kernel, "signatures")
}
before = {name: len(kernel.signatures) for name, kernel in kernels.items()}
now = datetime.datetime(2025, 1, 1, tzinfo=datetime.timezone.utc)
row = {"timestamp": now, "observed_timestamp": now, "message": "one two", "attributes": {"a": "b 12345678901"}}
rows = [row, {**row, "host": "web"}, {**row, "service": "pay", "attributes": {}}] * 9
batch = batch_of_rows(rows)
index = TokenIndex(build_index([batch, batch.slice(3, 9), batch.slice(0, 0)]))
assert index.count_exact(("one",))[0] == 27
index.rows_exact(0, ("one", "web"))
index.verify()
assert before == {name: len(kernel.signatures) for name, kernel in kernels.items()}, before
"""


@pytest.mark.slow
def test_warm_up_compiles_all_that_an_index_needs() -> None:
    """After `warm_up` neither building nor reading compiles anything more."""
    subprocess.run([sys.executable, "-c", WARM], check=True)
