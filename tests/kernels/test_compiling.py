"""Kernels are compiled anew when any of their sources is newer."""

from __future__ import annotations

import os
from pathlib import Path

from tailrace.kernels.compiling import forget_outdated


def test_what_is_older_than_a_source_is_removed(tmp_path: Path) -> None:
    """A change of one file outdates what is compiled of all others, as their functions may hold its own."""
    inner = tmp_path / "inner"
    (inner / "__pycache__").mkdir(parents=True)
    for name, time_s in (("a.py", 10), ("inner/b.py", 30), ("inner/__pycache__/b.1.nbi", 20), ("c.2.nbi", 40)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time_s, time_s))
    forget_outdated(tmp_path)
    assert sorted(file.name for file in tmp_path.rglob("*.nbi")) == ["c.2.nbi"]
