"""The moments at which a metric query is answered, and the windows of its ranges.

A range takes the lines of `(step - offset - range, step - offset]`: open at its start, closed at its end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tailrace.errors import QueryError

POINTS_MAX = 11_000
"""Steps behind the first of one answer, as in Prometheus and Loki: more are seen by nobody."""

Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Steps:
    """`start_ns`, and every `step_ns` further up to `end_ns`; in nanoseconds since 1970."""

    start_ns: int
    end_ns: int
    step_ns: int

    @property
    def count(self) -> int:
        return (self.end_ns - self.start_ns) // self.step_ns + 1

    def checked(self) -> Steps:
        """The same. Raises `QueryError` for more steps than are answered."""
        if self.count > POINTS_MAX + 1:
            raise QueryError(
                f"exceeded maximum resolution of {POINTS_MAX:,} points per time series; "
                "try increasing the value of the step parameter"
            )
        return self

    def times_ns(self) -> Times:
        return self.start_ns + self.step_ns * np.arange(self.count, dtype=np.int64)


def instant(time_ns: int) -> Steps:
    """One step."""
    return Steps(time_ns, time_ns, 1)


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of a range over steps."""

    steps: Steps
    range_ns: int
    offset_ns: int

    def span_us(self) -> tuple[int, int]:
        """Events from the first to before the second, in microseconds, are in a window; others may be too."""
        low_ns = self.steps.start_ns - self.offset_ns - self.range_ns
        high_ns = self.steps.start_ns + (self.steps.count - 1) * self.steps.step_ns - self.offset_ns
        return low_ns // 1000 + 1, high_ns // 1000 + 1

    def ends_ns(self) -> Times:
        return self.steps.times_ns() - self.offset_ns

    def steps_of(self, time_us: npt.NDArray[np.int64]) -> tuple[Times, Times]:
        """For each event the first step that sees it, and the first behind that which does not."""
        since_ns = time_us * 1000 + self.offset_ns - self.steps.start_ns
        step_ns = self.steps.step_ns
        first = -(-since_ns // step_ns)
        behind = -(-(since_ns + self.range_ns) // step_ns)
        return np.clip(first, 0, self.steps.count), np.clip(behind, 0, self.steps.count)
