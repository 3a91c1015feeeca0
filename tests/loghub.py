"""The folder of real log files (loghub), which is not part of the repository: `TAILRACE_LOGHUB`, or beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).parents[2] / "shared" / "data" / "loghub"
LOGHUB = Path(os.environ.get("TAILRACE_LOGHUB", _BESIDE))

needs_loghub = pytest.mark.skipif(
    not LOGHUB.is_dir(), reason=f"no real log files in {LOGHUB}; set TAILRACE_LOGHUB to their folder"
)


def loghub_file(system: str) -> Path:
    return LOGHUB / f"{system}_2k.log"
