"""Datagrams: what arrives, and that what is lost is counted."""

from __future__ import annotations

import asyncio
import socket
import time
import zlib
from functools import partial

import numpy as np
import pytest

from tailrace.ingest.syslog.frames import Frames
from tailrace.listen import appending, udp
from tailrace.listen.datagrams import Datagrams
from tailrace.listen.gelf import Assembly, gelf_udp
from tailrace.listen.syslog import syslog_udp
from tailrace.ops.metrics import Metrics
from tests.listen.at_work import Running, run, running, until

MESSAGE = b"<13>Nov 21 10:00:00 host app: %s"
GELF = b'{"version":"1.1","host":"h","short_message":"gelf","_a":1}'


def send(server: Running, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, ("127.0.0.1", server.port))


def dropped(server: Running, name: str, reason: str) -> float:
    return server.figure("tailrace_listener_dropped_total", listener=name, reason=reason)


def test_a_datagram_is_a_message() -> None:
    """What ended it is left out, an empty one is none, and a sender that names no host is told by its address."""

    async def test() -> None:
        async with running(syslog_udp) as server:
            send(server, MESSAGE % b"one\n", b"", b"\n", b"<14>two\nlines\x00", b"<13>" + b"x" * 5000)
            await until(lambda: len(server.log.events()) == 2 and len(server.log.letters()) == 1)
            assert [(event["message"], event["host"]) for event in server.log.events()] == [
                ("one", "host"),
                ("two\nlines", "127.0.0.1"),
            ]
            assert server.log.letters()[0]["source"] == "syslog udp from 127.0.0.1"

    run(test)


def test_what_finds_no_room_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the log does not answer; what was taken in arrives when it does, and both together are all."""
    monkeypatch.setattr(appending, "WAITING_BYTES_MAX", 20_000)

    async def test() -> None:
        async with running(syslog_udp) as server:
            server.log.holds = True
            for first in range(0, 1000, 50):
                send(server, *(MESSAGE % b"event %d" % n for n in range(first, first + 50)))
                await asyncio.sleep(0.005)
            await until(lambda: server.figure("tailrace_bytes_received_total") >= 1000 * len(MESSAGE % b"event 1"))
            server.log.let_go()
            lost = dropped(server, "syslog_udp", "full")
            assert lost > 500
            await until(lambda: len(server.log.messages()) + lost == 1000)

    run(test)


def test_what_the_kernel_drops_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the reader does not run, more comes than the kernel keeps."""
    monkeypatch.setattr(udp, "_KERNEL_BYTES", 1)
    receive = Datagrams.receive
    slow_until_s = time.monotonic() + 0.5

    def receive_late(self: Datagrams) -> appending.Received | None:
        time.sleep(max(0.0, slow_until_s - time.monotonic()))
        return receive(self)

    monkeypatch.setattr(Datagrams, "receive", receive_late)

    async def test() -> None:
        async with running(syslog_udp) as server:
            send(server, *(MESSAGE % b"event %d" % n for n in range(500)))
            await until(lambda: dropped(server, "syslog_udp", "kernel") > 0)
            await until(lambda: len(server.log.messages()) + dropped(server, "syslog_udp", "kernel") == 500)

    run(test)


def test_at_the_end_what_the_kernel_has_is_appended() -> None:
    """All that had reached this machine before the signal."""

    async def test() -> None:
        async with running(syslog_udp) as server:
            send(server, *(MESSAGE % b"event %d" % n for n in range(300)))
            await server.listener.stop()
            assert len(server.log.messages()) == 300

    run(test)


@pytest.mark.parametrize("many", [True, False])
def test_datagrams_are_received_alike_with_and_without_recvmmsg(many: bool) -> None:
    """Each with its bytes and its sender; more than fit one call too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.setblocking(False)
        datagrams = Datagrams(bound)
        if not many:
            datagrams._receive_many = None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind(("127.0.0.2", 0))
            for number in range(3):
                sender.sendto(b"m" * number, bound.getsockname())
        received = datagrams.receive()
        assert received is not None
        assert (received.frames.data, received.frames.starts.tolist(), received.frames.ends.tolist()) == (
            b"mmm",
            [0, 0, 1],
            [0, 1, 3],
        )
        assert [received.peers[peer] for peer in received.peer_of] == ["127.0.0.2"] * 3
        assert datagrams.receive() is None


def test_gelf_plain_compressed_and_in_chunks() -> None:
    """Three ways of one message; a message of which a chunk is missing is counted when its time is over."""
    chunks = [b"\x1e\x0f12345678" + bytes([n, 3]) + zlib.compress(GELF)[n * 25 : (n + 1) * 25] for n in range(3)]

    async def test() -> None:
        async with running(gelf_udp) as server:
            send(server, GELF, zlib.compress(GELF), *reversed(chunks), b"\x1e\x0fbroken", b"nonsense")
            await until(partial(has, server, 3, 1))
            assert {event["message"] for event in server.log.events()} == {"gelf"}
            assert server.log.letters()[0]["source"] == "gelf udp from 127.0.0.1"
            assert dropped(server, "gelf_udp", "chunks") == 1

    run(test)


def test_a_message_that_lacks_a_chunk_is_counted_with_the_next_datagram() -> None:
    """Be that a chunk or not: an alarm does not wait until somebody sends chunks again."""
    metrics = Metrics()
    assembly = Assembly(metrics)

    def came(datagram: bytes, now_s: float) -> float | None:
        received = appending.Received(
            Frames(datagram, np.zeros(1, np.int64), np.array([len(datagram)])), ["a"], np.zeros(1, np.int64)
        )
        assembly.prepare(received, now_s)
        labels = {"listener": "gelf_udp", "reason": "chunks"}
        return metrics.registry.get_sample_value("tailrace_listener_dropped_total", labels)

    assert came(b"\x1e\x0f12345678\x00\x02begun", 0.0) == 0
    assert came(GELF, 5.0) == 0
    assert came(GELF, 5.1) == 1


def has(server: Running, events: int, letters: int) -> bool:
    return len(server.log.events()) == events and len(server.log.letters()) == letters
