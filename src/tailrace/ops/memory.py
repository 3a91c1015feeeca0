"""How the process keeps memory: for use again rather than giving it back.

Batches come and go by the megabyte, many times a second. By default both Arrow's allocator and the C library return
such blocks to the kernel when they are freed, and the kernel clears each page before it hands it out again: a quarter
of the server's time under load. Here Arrow uses the C library's allocator, and that keeps what is freed.
"""

from __future__ import annotations

import ctypes
import os

# glibc's mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

_MMAP_THRESHOLD_BYTES = 32 << 20  # the most that glibc takes
_TRIM_THRESHOLD_BYTES = 1 << 30


def reuse_memory() -> None:
    """Call once, **before** pyarrow is imported. Does nothing where the C library is another than glibc."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    if mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES) and mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD_BYTES):
        # Arrow reads this when it is loaded; `pa.set_memory_pool` would reach Python's own allocations only.
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
