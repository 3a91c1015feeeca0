"""What a benchmark measured, beside what it must and what it should reach."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `must` and `goal` are bounds of `value`: from below where more is better."""

    what: str
    value: float
    unit: str
    must: float | None = None
    goal: float | None = None
    more_is_better: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.must is None or self.goal is None:
            return ""
        sign = 1 if self.more_is_better else -1
        if sign * self.value >= sign * self.goal:
            return "goal"
        return "must" if sign * self.value >= sign * self.must else "MISSED"


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | measured | must | goal | reached | |", "|---|---|---|---|---|---|"]
    for row in rows:
        bounds = [f"{bound:g} {row.unit}" if bound is not None else "" for bound in (row.must, row.goal)]
        value = f"{row.value:,.0f}" if abs(row.value) >= 1000 else f"{row.value:.3g}"
        lines.append(f"| {row.what} | {value} {row.unit} | {bounds[0]} | {bounds[1]} | {row.verdict} | {row.note} |")
    return "\n".join(lines)


def write_json(rows: list[Row], machine: Mapping[str, object], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": dict(machine), "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
