"""Bytes, 32 at a time: what the kernels need of SIMD.

LLVM turns these vectors into whatever the processor has. All loads and stores are unaligned; the caller sees to it
that the bytes are there: `i + WIDTH <= len(buffer)`. Masks have one bit a byte, the first byte lowest.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from tailrace.kernels.compiling import compiled, inlined, instruction

WIDTH = 32

_BYTE = ir.IntType(8)
_VECTOR = ir.VectorType(_BYTE, WIDTH)
_MASK = ir.IntType(WIDTH)
_INT64 = ir.IntType(64)

_QUOTE, _BACKSLASH, _BLANK = 0x22, 0x5C, 0x20


def _pointer(context: Any, builder: Any, array_type: Any, array_and_index: Any, pointee: Any) -> Any:
    array, index = array_and_index
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), pointee.as_pointer())


def _load(builder: Any, pointer: Any) -> Any:
    value = builder.load(pointer)
    value.align = 1
    return value


def _splat(byte: int) -> Any:
    return ir.Constant(_VECTOR, [byte] * WIDTH)


def _as_int64(builder: Any, bits: Any) -> Any:
    return builder.zext(builder.bitcast(bits, _MASK), _INT64)


@instruction
def text_ends(typingctx: Any, buffer: Any, index: Any) -> Any:
    """Mask of the bytes at `index` that cannot stand in a JSON string as they are: `"`, `\\`, control characters."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = _load(builder, _pointer(context, builder, signature.args[0], arguments, _VECTOR))
        quote = builder.icmp_unsigned("==", vector, _splat(_QUOTE))
        backslash = builder.icmp_unsigned("==", vector, _splat(_BACKSLASH))
        control = builder.icmp_unsigned("<", vector, _splat(_BLANK))
        return _as_int64(builder, builder.or_(builder.or_(quote, backslash), control))

    return types.int64(buffer, types.int64), generate


@instruction
def beyond_ascii(typingctx: Any, buffer: Any, index: Any) -> Any:
    """Mask of the bytes at `index` that are 0x80 or more."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = _load(builder, _pointer(context, builder, signature.args[0], arguments, _VECTOR))
        return _as_int64(builder, builder.icmp_signed("<", vector, _splat(0)))

    return types.int64(buffer, types.int64), generate


@instruction
def newlines(typingctx: Any, buffer: Any, index: Any) -> Any:
    """Mask of the line feeds at `index`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = _load(builder, _pointer(context, builder, signature.args[0], arguments, _VECTOR))
        return _as_int64(builder, builder.icmp_unsigned("==", vector, _splat(0x0A)))

    return types.int64(buffer, types.int64), generate


@instruction
def copy_wide(typingctx: Any, target: Any, target_index: Any, source: Any, source_index: Any) -> Any:
    """Copy WIDTH bytes from `source` at `source_index` to `target` at `target_index`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, to_index, from_, from_index = arguments
        vector = _load(builder, _pointer(context, builder, signature.args[2], (from_, from_index), _VECTOR))
        store = builder.store(vector, _pointer(context, builder, signature.args[0], (to, to_index), _VECTOR))
        store.align = 1
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64), generate


@instruction
def load_word(typingctx: Any, buffer: Any, index: Any) -> Any:
    """The 8 bytes at `index` as a little-endian number."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(builder, _pointer(context, builder, signature.args[0], arguments, _INT64))

    return types.uint64(buffer, types.int64), generate


@instruction
def lowest_bit(typingctx: Any, mask: Any) -> Any:
    """The index of the lowest bit that is set; `mask` is not 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate


@compiled
def copy_bytes(target, q, source, p, count, source_size):
    """Copy `count` bytes; up to WIDTH - 1 bytes of `target` behind them are overwritten."""
    while count > 0:
        if p + WIDTH <= source_size:
            copy_wide(target, q, source, p)
        else:
            for i in range(min(count, WIDTH)):
                target[q + i] = source[p + i]
        p += WIDTH
        q += WIDTH
        count -= WIDTH


@compiled
def line_end(d, p, n):
    """The index of the first line feed in `d[p:n]`, or `n`."""
    while p + WIDTH <= n:
        mask = newlines(d, p)
        if mask != 0:
            return p + lowest_bit(mask)
        p += WIDTH
    while p < n and d[p] != 0x0A:
        p += 1
    return p


@compiled
def count_byte(d, byte):
    """How often `byte` stands in `d`."""
    count = 0
    for i in range(len(d)):
        count += np.int64(d[i] == byte)
    return count


TRUE = np.frombuffer(b"true", np.uint8)
FALSE = np.frombuffer(b"false", np.uint8)
NULL = np.frombuffer(b"null", np.uint8)


@inlined
def skip_blanks(d, p, n, in_lines):
    """The index of the first byte in `d[p:n]` that is no white space; `in_lines`, a line feed is none."""
    while p < n and is_blank(d[p]) and not (in_lines and d[p] == 0x0A):
        p += 1
    return p


@inlined
def is_blank(c):
    """White space as RFC 8259, 2 has it."""
    return c == 0x20 or c == 0x0A or c == 0x0D or c == 0x09


@inlined
def has_literal(d, p, n, literal):
    """Whether `d[p:n]` starts with the bytes `literal`."""
    if p + len(literal) > n:
        return False
    for i in range(len(literal)):  # noqa: SIM110 - numba has no generator expressions
        if d[p + i] != literal[i]:
            return False
    return True
