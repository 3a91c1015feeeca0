"""Kernels are compiled anew when any of their sources is newer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tailrace.kernels.compiling import forget_outdated

WARM = """
import importlib, pkgutil
from tailrace import kernels
from tests.fuzz.decoders import targets
from tests.fuzz.run import LIMITS, NOW_US

def signatures():
    return {
        f"{name}.{function}": len(kernel.signatures)
        for _, name, _ in pkgutil.walk_packages(kernels.__path__, "tailrace.kernels.") if "__" not in name
        for function, kernel in vars(importlib.import_module(name)).items() if hasattr(kernel, "signatures")
    }

for name in kernels.MODULES:
    kernels.warm_up_module(name)
before = signatures()
for target in targets().values():
    for body in target.bodies:
        target.decode(body, limits=LIMITS, now_us=NOW_US)
after = signatures()
print({name: (before[name], count) for name, count in after.items() if count != before[name]} or "")
"""


def test_what_is_older_than_a_source_is_removed(tmp_path: Path) -> None:
    """A change of one file outdates what is compiled of all others, as their functions may hold its own."""
    inner = tmp_path / "inner"
    (inner / "__pycache__").mkdir(parents=True)
    for name, time_s in (("a.py", 10), ("inner/b.py", 30), ("inner/__pycache__/b.1.nbi", 20), ("c.2.nbi", 40)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time_s, time_s))
    forget_outdated(tmp_path)
    assert sorted(file.name for file in tmp_path.rglob("*.nbi")) == ["c.2.nbi"]


@pytest.mark.slow
def test_no_decoder_compiles_after_the_warm_up() -> None:
    """A first request that waits for the compiler takes longer than many senders wait."""
    done = subprocess.run([sys.executable, "-c", WARM], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""
