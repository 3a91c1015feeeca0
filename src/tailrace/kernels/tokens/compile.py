"""Compiling the token kernels before they are needed."""

from __future__ import annotations

import numpy as np

from tailrace.kernels.tokens import filter, frequent
from tailrace.kernels.tokens.cut import (
    PADDING_BYTES,
    SKETCH_BITS,
    Tokens,
    cut_tokens,
    fold_bytes,
    hash_token,
    read_only,
)


def warm_up() -> None:
    """Compile the kernels, or load them from their cache."""
    words = np.zeros(1 + PADDING_BYTES // 8, np.uint64)
    folded = words.view(np.uint8)
    tokens = Tokens(np.zeros(1, np.uint64), np.zeros(1, np.int64), np.zeros(1, np.int32))
    offsets = read_only(np.array([0, 1], np.int32).tobytes(), np.int32)
    sketch = np.zeros(1 << SKETCH_BITS, np.int32)
    fold_bytes(read_only(b"a", np.uint8), folded[:1])
    cut_tokens(folded, words, 0, offsets, read_only(b"", np.uint8), 0, tokens, 0, np.zeros(2, np.int64), sketch)
    filter.warm_up(hash_token("a"))
    frequent.warm_up(words, tokens, sketch)
