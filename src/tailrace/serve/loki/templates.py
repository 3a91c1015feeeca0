"""What lines have in common: their words, with those that vary masked.

A word with a digit varies. Lines whose masked words are equal are one pattern; that is simple, knows nothing of
meaning, and is the same for the same lines in any order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from tailrace.serve.loki.frame import Frame
from tailrace.serve.loki.steps import Steps

PATTERNS_MAX = 300
"""Patterns of one answer, the most frequent first."""
_WORDS_MAX = 80
_LINE_CHARACTERS_MAX = 4_096
_WORD = re.compile(r"[^\s=:,;()\[\]{}\"'<>]++")
_DIGIT = re.compile(r"\d")
_REPEATED = re.compile(r"<_>(?:[:.,/-]?<_>)+")

Samples = list[tuple[int, int]]


def masked(line: str) -> str:
    """`took 25ms for 10.0.0.1:80` is `took <_> for <_>`."""
    words = line[:_LINE_CHARACTERS_MAX].split(" ", _WORDS_MAX)[:_WORDS_MAX]
    varying = _WORD.sub(lambda word: "<_>" if _DIGIT.search(word[0]) else word[0], " ".join(words))
    return _REPEATED.sub("<_>", varying)


def clustered(frames: Iterable[Frame], steps: Steps) -> list[tuple[str, Samples]]:
    """Patterns with the number of lines for each step, by its second."""
    counts: dict[str, Counter[int]] = {}
    for frame in frames:
        slots = (frame.time_us * 1000 - steps.start_ns) // steps.step_ns
        for line, slot in zip(frame.lines.to_pylist(), slots.tolist(), strict=True):
            counts.setdefault(masked(line), Counter())[slot] += 1
    ranked = sorted(counts.items(), key=lambda item: (-item[1].total(), item[0]))[:PATTERNS_MAX]
    return [
        (
            text,
            [((steps.start_ns + slot * steps.step_ns) // 1_000_000_000, count) for slot, count in sorted(by.items())],
        )
        for text, by in ranked
    ]
