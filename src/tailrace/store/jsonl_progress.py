"""The progress file of the plain text copy: one JSON object with a CRC-32 of itself.

    {"format":1,"day":"2026-11-21","size_bytes":1234,"rotating_to":null,"reached":{"0":17},"crc32":"89abcdef"}

The CRC is of the object's JSON without `crc32`, written by orjson with sorted keys.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tailrace.errors import Stop

PROGRESS_NAME = "logs.progress"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of the current file counts, the UTC day it was begun, and the next offset of each partition."""

    day: str = "1970-01-01"
    size_bytes: int = 0
    rotating_to: str | None = None
    reached: Mapping[int, int] = field(default_factory=dict)


def encode_progress(progress: Progress) -> bytes:
    fields: dict[str, Any] = {
        "format": FORMAT,
        "day": progress.day,
        "size_bytes": progress.size_bytes,
        "rotating_to": progress.rotating_to,
        "reached": {str(partition): offset for partition, offset in progress.reached.items()},
    }
    return orjson.dumps({**fields, "crc32": _crc32(fields)}, option=orjson.OPT_APPEND_NEWLINE)


def decode_progress(data: bytes) -> Progress:
    """Raises `ValueError` when the bytes are not what `encode_progress` wrote."""
    fields = orjson.loads(data)
    if not isinstance(fields, dict) or fields.pop("crc32", None) != _crc32(fields):
        raise ValueError("its checksum does not fit")
    if fields.pop("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    reached = {int(partition): offset for partition, offset in fields.pop("reached").items()}
    return Progress(**fields, reached=reached)


def _crc32(fields: Mapping[str, Any]) -> str:
    return f"{zlib.crc32(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)):08x}"


def read_progress(folder: Path, text_file: Path) -> Progress:
    """What was written last; `Stop` when it is damaged, or is missing beside a text file that has lines."""
    path = folder / PROGRESS_NAME
    try:
        return decode_progress(path.read_bytes())
    except FileNotFoundError:
        if text_file.exists() and text_file.stat().st_size > 0:
            raise Stop(
                f"{path} is missing, so that it cannot be told which events {text_file.name} holds; "
                f"move {text_file.name} away, or put its progress file back"
            ) from None
        return Progress()
    except ValueError as error:
        raise Stop(
            f"{path} is damaged ({error}); move it and {text_file.name} away: "
            "the copy goes on with the events that are still in the log"
        ) from error


def write_progress(folder: Path, progress: Progress) -> None:
    """Replace the file as a whole; durable on return."""
    beside = folder / (PROGRESS_NAME + ".new")
    with beside.open("wb") as file:
        file.write(encode_progress(progress))
        file.flush()
        os.fsync(file.fileno())
    beside.rename(folder / PROGRESS_NAME)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in the folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
