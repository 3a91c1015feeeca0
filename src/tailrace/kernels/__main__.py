"""`python -m tailrace.kernels` compiles the kernels into their cache, so that the first start need not."""

from __future__ import annotations

from tailrace.kernels import warm_up

warm_up()
