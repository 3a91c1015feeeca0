"""Bytes that were right once: cut, repeated, flipped and spliced, as networks and careless programs do."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

_ODD = (
    *(bytes([each]) for each in b'\x00\xff\xc3{}[]"\\\n<'),
    *(b"\xff" * 9 + b"\x01", b"\x80" * 12, b"\\u", b"\\ud800", b"\r\n", b"\xed\xa0\x80", b"\xef\xbb\xbf"),
    *(b">1 ", b"9" * 20, b"-1", b"1e999", b"null", b"NaN", b" " * 40, b"[" * 40, b"K\n" + b"\xff" * 8),
    *(b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\x7f\xff\xff\xff"),
)


def mutated(body: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """One to eight changes, each at a place of its own."""
    changed = bytearray(body)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        chance.choice(_CHANGES)(changed, others, chance)
    return bytes(changed)


def _place(body: bytearray, chance: random.Random) -> int:
    return chance.randrange(len(body) + 1)


def _flip(body: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    if body:
        body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)


def _overwrite(body: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    if body:
        body[chance.randrange(len(body))] = chance.randrange(256)


def _insert(body: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    at = _place(body, chance)
    body[at:at] = chance.choice(_ODD)


def _cut(body: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    del body[_place(body, chance) :]


def _leave_out(body: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    at = _place(body, chance)
    del body[at : at + chance.choice((1, 2, 4, 8, 64))]


def _repeat(body: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    at = _place(body, chance)
    piece = bytes(body[at : at + chance.choice((1, 4, 16, 200))])
    body[at:at] = piece * chance.choice((1, 2, 30))


def _splice(body: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    other = chance.choice(others)
    start = chance.randrange(len(other) + 1)
    at = _place(body, chance)
    body[at : at + chance.randrange(50)] = other[start : start + chance.randrange(200)]


_Change = Callable[[bytearray, Sequence[bytes], random.Random], None]
_CHANGES: tuple[_Change, ...] = (_flip, _flip, _overwrite, _insert, _insert, _cut, _leave_out, _repeat, _splice)
