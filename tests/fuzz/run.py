"""One decoder under damaged inputs, in a process of its own: a crash of native code is found, and its input is kept.

What must hold for every input: no exception but `BadInput`; events that are valid Arrow of EVENT_SCHEMA; rejected
lines with a reason; and memory that does not grow.
"""

from __future__ import annotations

import gc
import mmap
import multiprocessing
import random
import struct
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from tailrace.config import IngestSettings
from tailrace.errors import BadInput
from tailrace.ingest.decoded import Decode
from tailrace.model.batch import EVENT_SCHEMA
from tests.fuzz.mutations import mutated

NOW_US = 1_763_726_400_000_000
LIMITS = IngestSettings(body_bytes_max=1 << 20, line_bytes_max=1 << 14)

_KEPT_BYTES_MAX = 1 << 20
# Before that, memory is that of compiled kernels and of pools that fill.
_WARM_INPUTS = 2_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """`refused`: bodies that were wrong as a whole. `failure` is empty when all is well."""

    inputs: int
    events: int
    rejected: int
    refused: int
    growth_bytes: int
    failure: str = ""
    input: bytes = b""


def fuzz(decode: Decode, bodies: Sequence[bytes], *, inputs: int, seed: int) -> Outcome:
    """Ends at the first failure, with its input."""
    context = multiprocessing.get_context("fork")
    told, tells = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        current = Path(folder) / "input"
        current.write_bytes(bytes(_KEPT_BYTES_MAX + 8))
        child = context.Process(target=_run, args=(decode, bodies, inputs, seed, current, tells))
        child.start()
        tells.close()
        try:
            outcome: Outcome = told.recv()
        except EOFError:
            child.join()
            kept = current.read_bytes()
            (size,) = struct.unpack("<Q", kept[:8])
            return Outcome(0, 0, 0, 0, 0, f"the process ended with {child.exitcode}", kept[8 : 8 + size])
        child.join()
        return outcome


def _run(decode: Decode, bodies: Sequence[bytes], inputs: int, seed: int, current: Path, tells: Connection) -> None:
    # What the parent process has of others' native code does not outlive being taken apart in a fork of it.
    gc.freeze()
    chance = random.Random(seed)
    process = psutil.Process()
    events = rejected = refused = warm_bytes = 0
    with current.open("r+b") as file, mmap.mmap(file.fileno(), 0) as kept:
        for number in range(inputs):
            if number == min(_WARM_INPUTS, inputs // 2):
                warm_bytes = process.memory_info().rss
            body = mutated(chance.choice(bodies), bodies, chance)[:_KEPT_BYTES_MAX]
            kept[8 : 8 + len(body)] = body
            kept[:8] = struct.pack("<Q", len(body))
            try:
                decoded = decode(body, limits=LIMITS, now_us=NOW_US)
            except BadInput:
                refused += 1
                continue
            except BaseException as error:
                tells.send(
                    Outcome(number + 1, events, rejected, refused, 0, f"{type(error).__name__}: {error}", body)
                )
                return
            try:
                decoded.events.validate(full=True)
                assert decoded.events.schema.equals(EVENT_SCHEMA), "another schema"
                assert all(each.reason for each in decoded.rejected), "a rejected line without a reason"
            except Exception as error:
                tells.send(
                    Outcome(number + 1, events, rejected, refused, 0, f"{type(error).__name__}: {error}", body)
                )
                return
            events += decoded.events.num_rows
            rejected += len(decoded.rejected)
    growth_bytes = process.memory_info().rss - warm_bytes
    tells.send(Outcome(inputs, events, rejected, refused, growth_bytes))
