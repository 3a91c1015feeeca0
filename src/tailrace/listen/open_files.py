"""How many connections a process can have: each is an open file."""

from __future__ import annotations

import contextlib
import resource


def open_files_max() -> int:
    """How many files this process may have open, after raising the soft limit to the hard one.

    The soft limit is often as low as 1,024, for the sake of old programs.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return 1 << 30 if soft == resource.RLIM_INFINITY else soft
