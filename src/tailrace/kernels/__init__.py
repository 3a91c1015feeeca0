"""Numba functions over Arrow buffers, for the few places where native libraries have nothing fast enough.

Each has a plain-Python twin that is its oracle in the tests. They are compiled once and cached beside their source.
"""

from __future__ import annotations


def warm_up() -> None:
    """Compile every kernel that is not in the cache yet; some ten seconds the first time, nothing later."""
    from tailrace.kernels import bulk_out, json_out, ndjson, tokens_compile

    ndjson.warm_up()
    tokens_compile.warm_up()
    json_out.warm_up()
    bulk_out.warm_up()
