"""`python -m tests.fuzz`: every decoder under a million damaged inputs in all; ends with 1 when one does not hold."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.fuzz.decoders import targets
from tests.fuzz.run import fuzz


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    options.add_argument("--inputs", type=int, default=1_000_000, help="in all, shared by the decoders")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", help="the decoders whose name contains this")
    options.add_argument("--keep", type=Path, help="a folder for inputs that a decoder did not bear")
    chosen = options.parse_args()
    found = {name: each for name, each in targets().items() if not chosen.only or chosen.only in name}
    failed = 0
    print(f"{'decoder':30} {'inputs':>9} {'events':>9} {'rejected':>9} {'refused':>9} {'growth':>9}  in")
    for name, target in found.items():
        started = time.monotonic()
        outcome = fuzz(target.decode, target.bodies, inputs=chosen.inputs // len(found), seed=chosen.seed)
        print(
            f"{name:30} {outcome.inputs:9,} {outcome.events:9,} {outcome.rejected:9,} {outcome.refused:9,} "
            f"{outcome.growth_bytes / 2**20:6.1f} MiB {time.monotonic() - started:4.0f} s  {outcome.failure}",
            flush=True,
        )
        if outcome.failure:
            failed += 1
            if chosen.keep is not None:
                chosen.keep.mkdir(parents=True, exist_ok=True)
                (chosen.keep / name.replace(" ", "-").replace(",", "")).write_bytes(outcome.input)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
