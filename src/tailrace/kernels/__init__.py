"""Numba functions over Arrow buffers, for the few places where native libraries have nothing fast enough.

Each has a plain-Python twin that is its oracle in the tests. They are compiled once and cached beside their source.
"""

from __future__ import annotations

from importlib import import_module

ALWAYS = ("ndjson.read", "tokens.compile", "json_out", "bulk_out")
"""Modules whose kernels every server uses."""

MODULES = ("otlp.read", "loki.read", "msgpack.lines", "syslog.read", "bulk_in", "cards", "text_hash", *ALWAYS)
"""All that have something to compile."""


def warm_up() -> None:
    """Compile what every server uses, where it is not in the cache yet: some ten seconds the first time.

    The kernels of other protocols are loaded with their first request, from the cache in some milliseconds.
    """
    for name in ALWAYS:
        warm_up_module(name)


def warm_up_module(name: str) -> None:
    import_module(f"tailrace.kernels.{name}").warm_up()
