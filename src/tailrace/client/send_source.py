"""What is sent: files and standard input, as chunks of whole lines."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import select
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

CHUNK_BYTES = 4 << 20
"""About 30,000 lines: enough to spread the cost of a request, little enough to hold a few at once."""

_LINE_BYTES_MAX = 64 << 20
"""What a server takes as one body (ingest.body_bytes_max); what is no log may have no line's end at all."""

_MAGIC_BYTES = 6
_STOP_INTERVAL_S = 0.25
# Digits without a mark before them are a date; fewer are the name's own, as in web1.log.
_STAMPED_SUFFIX = re.compile(r"(\.log)?(([._-]|(?=\d{8}))\d[\d._-]*)?$", re.IGNORECASE)


def open_plain(path: Path) -> tuple[BinaryIO, BinaryIO]:
    """The file's content, decompressed when its first bytes say so, and the file itself, whose position tells the
    progress. Closing the second closes both.
    """
    raw = path.open("rb")
    return _decompressed(raw, raw.peek(_MAGIC_BYTES)), raw


def _decompressed(raw: BinaryIO, magic: bytes) -> BinaryIO:
    if magic.startswith(b"\x1f\x8b"):
        return cast("BinaryIO", gzip.GzipFile(fileobj=raw))
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True))
    if magic.startswith(b"BZh"):
        return cast("BinaryIO", bz2.BZ2File(raw))
    if magic.startswith(b"\xfd7zXZ\x00"):
        return cast("BinaryIO", lzma.LZMAFile(raw))
    return raw


def whole_lines(content: BinaryIO) -> Iterator[bytes]:
    """Chunks that end at a line's end, but for the last; a line longer than one is a chunk, up to 64 MiB of it."""
    rest = b""
    while part := content.read(CHUNK_BYTES):
        chunk, rest = _whole(rest, part)
        if chunk:
            yield chunk
    if rest:
        yield rest


def whole_lines_as_they_come(descriptor: int, stop: threading.Event) -> Iterator[bytes]:
    """As `whole_lines`, of a pipe or a terminal: what has come is given at once, and as one chunk. Ends on `stop`."""
    rest = b""
    while _wait_readable(descriptor, stop) and (part := os.read(descriptor, CHUNK_BYTES)):
        while len(part) < CHUNK_BYTES and select.select([descriptor], [], [], 0)[0]:
            more = os.read(descriptor, CHUNK_BYTES - len(part))
            if not more:
                break
            part += more
        chunk, rest = _whole(rest, part)
        if chunk:
            yield chunk
    if rest:
        yield rest


def _whole(rest: bytes, part: bytes) -> tuple[bytes, bytes]:
    """The whole lines of both, and what is behind them."""
    cut = part.rfind(b"\n") + 1
    if not cut and len(rest) + len(part) >= _LINE_BYTES_MAX:
        cut = len(part)
    return (rest + part[:cut], part[cut:]) if cut else (b"", rest + part)


def _wait_readable(descriptor: int, stop: threading.Event) -> bool:
    while not stop.is_set():
        if select.select([descriptor], [], [], _STOP_INTERVAL_S)[0]:
            return True
    return False


def service_name(path: Path) -> str:
    """`app` for app.log, app.log.1, app.log.2024-01-31.gz, app-20240131.log and app.json."""
    name = path.name
    for suffix in (".gz", ".zst", ".bz2", ".xz"):
        name = name.removesuffix(suffix)
    for suffix in (".log", ".txt", ".json", ".jsonl", ".ndjson", ".out"):
        name = name.removesuffix(suffix)
    return _STAMPED_SUFFIX.sub("", name) or path.name
