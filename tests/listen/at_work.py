"""A listener at work in this process, over a log in memory that can be away, full or slow."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from tailrace.broker.port import Assignments, LogFigures, LogReader, Record
from tailrace.config import IngestSettings, ListenerSettings
from tailrace.ingest.gateway import Gateway
from tailrace.listen.port import Listener
from tailrace.listen.syslog import syslog_tcp
from tailrace.model.batch import ARROW_STREAM, decode_batch
from tailrace.model.clock import system_clock_us
from tailrace.model.dead_letter import DEAD_LETTERS
from tailrace.ops.metrics import Metrics
from tests.server import free_port


@dataclass
class MemoryLog:
    """Implements `Log`, as far as a gateway needs it. `refusals` are raised first, one an append."""

    refusals: list[Exception] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    held: list[Future[list[tuple[int, int]]]] = field(default_factory=list)
    holds: bool = False

    def append(self, records: Sequence[Record]) -> Future[list[tuple[int, int]]]:
        if self.refusals:
            raise self.refusals.pop()
        self.records += records
        done: Future[list[tuple[int, int]]] = Future()
        if self.holds:
            self.held.append(done)
        else:
            done.set_result([])
        return done

    def let_go(self) -> None:
        self.holds = False
        for each in self.held:
            if each.set_running_or_notify_cancel():
                each.set_result([])
        self.held.clear()

    def reader(self, group: str, assignments: Assignments | None = None) -> LogReader:
        raise NotImplementedError

    def figures(self) -> LogFigures:
        raise NotImplementedError

    def close(self) -> None: ...

    def events(self) -> list[dict[str, object]]:
        return [
            event
            for record in self.records
            if record.content_type == ARROW_STREAM
            for event in decode_batch(record.payload).to_pylist()
        ]

    def messages(self) -> list[str]:
        return [str(event["message"]) for event in self.events()]

    def letters(self) -> list[dict[str, object]]:
        return [
            letter
            for record in self.records
            if record.content_type == DEAD_LETTERS
            for letter in decode_batch(record.payload).to_pylist()
        ]


@dataclass
class Running:
    listener: Listener
    port: int
    log: MemoryLog
    metrics: Metrics

    async def connect(self, tls: ssl.SSLContext | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        name = None if tls is None else "localhost"
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=tls, server_hostname=name)

    async def send(self, data: bytes, tls: ssl.SSLContext | None = None) -> None:
        """A connection that sends this and closes."""
        _, writer = await self.connect(tls)
        writer.write(data)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    def figure(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


Make = Callable[[str, ListenerSettings, Gateway, Metrics], Listener]


@asynccontextmanager
async def running(
    make: Make = syslog_tcp, settings: ListenerSettings | None = None, *, line_bytes_max: int = 1000
) -> AsyncIterator[Running]:
    log, metrics, port = MemoryLog(), Metrics(), free_port()
    limits = IngestSettings(line_bytes_max=line_bytes_max)
    gateway = Gateway(log, settings=limits, clock=system_clock_us, metrics=metrics)
    listener = make(f"127.0.0.1:{port}", settings or ListenerSettings(), gateway, metrics)
    await listener.start()
    try:
        yield Running(listener, port, log, metrics)
    finally:
        await listener.stop()
        gateway.close()


def tls_settings(folder: Path, *, client_ca: bool = False) -> ListenerSettings:
    return ListenerSettings(
        tls_certificate=folder / "server.pem",
        tls_key=folder / "server.key",
        tls_client_ca=folder / "ca.pem" if client_ca else None,
    )


def client_context(folder: Path, *, certificate: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    if certificate:
        context.load_cert_chain(folder / "client.pem", folder / "client.key")
    return context


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is in other threads
            await asyncio.sleep(0.01)


async def until_closed(reader: asyncio.StreamReader) -> None:
    """By the other side, which says nothing."""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        async with asyncio.timeout(20):
            assert await reader.read() == b""


def run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    """On the loop that the server has."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test())
