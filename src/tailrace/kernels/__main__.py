"""`python -m tailrace.kernels` compiles the kernels into their cache, so that the first start need not."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tailrace.kernels import MODULES, warm_up_module

if __name__ == "__main__":
    # Numba compiles under a lock of its own, so every core gets a process.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as processes:
        for _ in processes.map(warm_up_module, MODULES):
            pass
