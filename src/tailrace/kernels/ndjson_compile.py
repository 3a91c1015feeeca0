"""How the NDJSON kernel is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit
from numba.extending import intrinsic

# Without `_nrt=False` numba counts references to every array at every call, with atomic instructions: three quarters
# of the kernel's time. Functions compiled so cannot allocate, and do not need to: the caller holds all arrays.
_OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "_nrt": False}


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that allocates nothing; it runs without the GIL."""
    return njit(**_OPTIONS)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """The same, as a part of each of its callers."""
    return njit(forceinline=True, **_OPTIONS)(function)


def instruction(function: Callable[..., Any]) -> Any:
    """A function that is LLVM code."""
    return intrinsic(function)
