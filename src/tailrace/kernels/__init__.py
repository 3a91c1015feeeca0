"""Numba functions over Arrow buffers, for the few places where native libraries have nothing fast enough.

Each has a plain-Python twin that is its oracle in the tests. They are compiled once and cached beside their source.
"""

from __future__ import annotations

from importlib import import_module

MODULES = (
    *("otlp", "loki", "ndjson", "syslog", "tokens_compile", "msgpack_json"),
    *("json_out", "bulk_in", "bulk_out", "cards", "text_hash"),
)
"""Those that have something to compile, the longest first."""


def warm_up() -> None:
    """Compile every kernel that is not in the cache yet; a minute of one core the first time, nothing later."""
    for name in MODULES:
        warm_up_module(name)


def warm_up_module(name: str) -> None:
    import_module(f"tailrace.kernels.{name}").warm_up()
