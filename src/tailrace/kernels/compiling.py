"""How kernels are compiled."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
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


def forget_outdated(folder: Path) -> None:
    """Remove what is compiled, in `folder` and below, and older than any of the sources.

    Numba compiles a function again when the file that it stands in has changed, not when that of a function inside
    of it has: an update would leave kernels that are half old.
    """
    newest = max(source.stat().st_mtime for source in folder.rglob("*.py"))
    for index in folder.rglob("*.nbi"):
        # Another process may be faster, or the folder be somebody else's.
        with contextlib.suppress(OSError):
            if index.stat().st_mtime < newest:
                index.unlink()


forget_outdated(Path(__file__).parent)
