"""Time is an argument: whatever needs the time of day is given a `Clock`."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns microseconds since 1970-01-01T00:00:00Z."""


def system_clock_us() -> int:
    return time.time_ns() // 1000
