"""How fast each protocol is taken in, beside native NDJSON in the same run."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgpack
from tests.server import free_port

from bench.load import CONNECTIONS, Load, send_bodies
from bench.protocol_bodies import HTTP_PROTOCOLS, events_of, forward, syslog
from bench.report import Row
from bench.server import running
from tailrace.client.demo_events import ndjson_bodies

_BODY_EVENTS = 5_000
_NDJSON = "application/x-ndjson"
_SYSLOG_MUST = 0.3
_FORWARD_MUST = 0.4

Item = tuple[int, bytes]


def protocol_rows(folder: Path, events: int, seed: int) -> Iterator[Row]:
    """NDJSON is measured before and after the others, and its mean is what they are held to."""
    print(f"making {events:,} events in each protocol", flush=True)
    bodies = list(
        itertools.islice(ndjson_bodies(events, body_events=_BODY_EVENTS, seed=seed), events // _BODY_EVENTS)
    )
    before = _ndjson(folder / "before", bodies)
    rates: list[tuple[str, float, float]] = []
    batches = [events_of(body) for body in bodies]
    for protocol in HTTP_PROTOCOLS:
        items = [(len(batch), protocol.encode(batch)) for batch in batches]
        with running(folder / protocol.name) as server:
            load = send_bodies(server, items, protocol.content_type, path=protocol.path)
        rates.append((protocol.name, load.stored_events_per_s, protocol.must))
    frames = [(len(batch), syslog(batch)) for batch in batches]
    rates.append(("syslog, TCP", _over_tcp(folder / "syslog", "syslog_tcp", frames, _stream), _SYSLOG_MUST))
    chunks = [(len(batch), forward(batch, f"chunk-{number}")) for number, batch in enumerate(batches)]
    rates.append(("Fluent Forward, packed", _over_tcp(folder / "forward", "forward", chunks, _ask), _FORWARD_MUST))
    after = _ndjson(folder / "after", bodies)
    ndjson = (before + after) / 2
    yield Row("NDJSON, into lake and hot", ndjson, "events/s", note=f"{before:,.0f} before, {after:,.0f} after")
    for name, rate, must in rates:
        note = f"{rate:,.0f} events/s"
        yield Row(f"{name}, into lake and hot", rate / ndjson, "x NDJSON", must, 2 * must, True, note)


def _ndjson(data: Path, bodies: Sequence[bytes]) -> float:
    with running(data) as server:
        return send_bodies(server, [(_BODY_EVENTS, body) for body in bodies], _NDJSON).stored_events_per_s


def _over_tcp(
    data: Path, listener: str, items: Sequence[Item], talk: Callable[[socket.socket, bytes], None]
) -> float:
    """Events a second, from the first byte until the stores have all."""
    port = free_port()
    count = sum(events for events, _ in items)
    with running(data, "--set", f"listeners.{listener}=127.0.0.1:{port}") as server:

        def run(mine: Sequence[Item]) -> None:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                for _, body in mine:
                    talk(connection, body)

        threads = [threading.Thread(target=run, args=(items[i::CONNECTIONS],)) for i in range(CONNECTIONS)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        while server.accepted() < count:
            time.sleep(0.02)
        server.wait_stored(timeout_s=600)
        load = Load(count, 0, time.perf_counter() - started)
    return load.stored_events_per_s


def _stream(connection: socket.socket, body: bytes) -> None:
    """Nobody answers."""
    connection.sendall(body)


def _ask(connection: socket.socket, body: bytes) -> None:
    """Until the chunk is acknowledged."""
    connection.sendall(body)
    answer = msgpack.Unpacker()
    while not (told := list(answer)):
        received = connection.recv(4096)
        if not received:
            raise ConnectionError("the server closed the connection before it acknowledged a chunk")
        answer.feed(received)
    if "ack" not in told[0]:
        raise ConnectionError(f"no acknowledgement: {told}")
