"""`python -m bench`: the whole table, on this machine, in one run; `make bench` calls it.

The load generator, the server and its disk share the machine. Every rate stands beside the floor of the same run.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.dashboard import dashboard_rows
from bench.distributed import distributed_rows
from bench.floor import arrow_body, floor_events_per_s
from bench.load import send_bodies, small_requests_per_s
from bench.protocols import protocol_rows
from bench.queries import query_rows
from bench.report import Row, table, write_json
from bench.server import PeakMemory, running
from bench.visibility import visibility_row
from tailrace.client.demo_events import ndjson_bodies
from tailrace.config import LakeSettings, Settings
from tailrace.model.batch import ARROW_STREAM, encode_batch
from tailrace.model.clock import system_clock_us
from tailrace.store.lake import check, compaction
from tailrace.wiring.stores import open_lake

BODY_EVENTS = 5_000
NDJSON = "application/x-ndjson"
MIB = 1 << 20
# They are written by Python, for minutes, and some seconds of each are enough.
_PROTOCOL_EVENTS = 1_000_000
PARTS = ("ingest", "protocols", "queries", "dashboard", "distributed")


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    options.add_argument("--events", type=int, default=3_000_000, help="events of the ingest runs")
    options.add_argument("--large", type=int, default=30_000_000, help="events of the lake that is queried")
    options.add_argument(
        "--live-s", type=float, default=300, help="seconds that the dashboard watches events come in"
    )
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--out", type=Path, default=Path("bench/out"))
    options.add_argument("--part", choices=PARTS, action="append", help="only this; may be repeated")
    chosen = options.parse_args()
    parts = chosen.part or list(PARTS)
    rows: list[Row] = []
    folder = Path(tempfile.mkdtemp(prefix="tailrace-bench-"))
    try:
        if "ingest" in parts:
            rows += ingest_rows(folder, chosen.events, chosen.seed)
        if "protocols" in parts:
            rows += map(said_row, protocol_rows(folder, min(chosen.events, _PROTOCOL_EVENTS), chosen.seed))
        large = folder / "large"
        if "queries" in parts or "dashboard" in parts:
            rows += loading_rows(large, chosen.large, chosen.seed)
        if "queries" in parts:
            rows += asking_rows(large, chosen.seed)
        if "dashboard" in parts:
            rows += map(said_row, dashboard_rows(folder, large, live_s=chosen.live_s, seed=chosen.seed))
        if "distributed" in parts:
            rows += map(said_row, distributed_rows(folder, chosen.events, chosen.seed))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    write_json(rows, machine, chosen.out / "bench.json")
    print("\n" + table(rows))


def ingest_rows(folder: Path, events: int, seed: int) -> Iterator[Row]:
    said(f"making {events:,} events")
    bodies = list(itertools.islice(ndjson_bodies(events, body_events=BODY_EVENTS, seed=seed), events // BODY_EVENTS))
    average = sum(map(len, bodies)) / (len(bodies) * BODY_EVENTS)
    floor = floor_events_per_s(bodies)
    yield said_row(Row("FLOOR: pyarrow.json, one core", floor, "events/s", note=f"{average:.0f} bytes an event"))

    with running(folder / "ndjson") as server:
        with PeakMemory(server.pid) as memory:
            idle = memory.resident_bytes() / MIB
            load = send_bodies(server, [(BODY_EVENTS, body) for body in bodies], NDJSON)
        yield said_row(Row("resident memory, idle", idle, "MiB", 350, 200))
        note = f"{load.stored_events_per_s:,.0f} events/s; acknowledged {load.acknowledged_events_per_s / floor:.2f}"
        yield said_row(
            Row("NDJSON, into lake and hot", load.stored_events_per_s / floor, "x FLOOR", 0.5, 1.0, True, note)
        )
        floor_after = floor_events_per_s(bodies[: len(bodies) // 4])
        yield said_row(Row("FLOOR again, behind the load", floor_after, "events/s"))
        yield said_row(visibility_row(server, bodies[:40], BODY_EVENTS))
        rate = small_requests_per_s(server)
        yield said_row(Row("one event a request, 64 connections", rate, "requests/s", 3000, 3000, True))
    arrow = [(BODY_EVENTS, encode_batch(arrow_body(body))) for body in bodies]
    with running(folder / "arrow") as server:
        load = send_bodies(server, arrow, ARROW_STREAM)
        note = f"{load.stored_events_per_s:,.0f} events/s; acknowledged {load.acknowledged_events_per_s / floor:.2f}"
        yield said_row(
            Row("Arrow bodies, into lake and hot", load.stored_events_per_s / floor, "x FLOOR", 1.2, 1.8, True, note)
        )


def loading_rows(data: Path, events: int, seed: int) -> Iterator[Row]:
    said(f"loading {events:,} events")
    size = f"{events / 1e6:.0f} M"
    with running(data) as server, PeakMemory(server.pid) as memory:
        bodies = ((BODY_EVENTS, body) for body in ndjson_bodies(events, body_events=BODY_EVENTS, seed=seed + 1))
        load = send_bodies(server, bodies, NDJSON)
    note = f"{load.stored_events_per_s:,.0f} events/s with the generator on the same cores"
    yield said_row(Row(f"resident memory, loading {size}", memory.bytes_max / MIB, "MiB", 1200, 800, note=note))
    # Upkeep brings the lake into this state within minutes; the questions are not to be asked while it is at work.
    with open_lake(Settings(data=data), clock=system_clock_us) as lake:
        compaction.compact(lake, LakeSettings(), everything=True)
        found = check.info(lake)
    per_event = (found.data_bytes + found.index_bytes) / found.rows
    note = f"{found.files} files; {found.index_bytes / found.rows:.2f} of it indexes"
    yield said_row(Row("bytes on disk an event", per_event, "bytes", 27, 20, note=note))


def asking_rows(data: Path, seed: int) -> Iterator[Row]:
    with running(data) as server, PeakMemory(server.pid) as memory:
        for row in query_rows(server, seed):
            yield said_row(row)
        yield said_row(Row("resident memory after the queries", memory.resident_bytes() / MIB, "MiB"))


def said(text: str) -> None:
    print(text, flush=True)


def said_row(row: Row) -> Row:
    said(f"  {row.what}: {row.value:,.3f} {row.unit}  {row.verdict}  {row.note}")
    return row


if __name__ == "__main__":
    main()
