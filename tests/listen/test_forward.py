"""Fluent's forward protocol over TCP: when it is acknowledged, who may send, and how a connection ends."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import struct
from pathlib import Path
from typing import Any

import msgpack
import pytest

from tailrace.config import ListenerSettings
from tailrace.errors import RetryLater, SlowDown
from tailrace.kernels import warm_up_module
from tailrace.listen.forward import forward, forward_tls
from tailrace.model.claim import CLAIM, key_and_time
from tests.listen.at_work import Running, client_context, run, running, tls_settings, until, until_closed

TIME = 1_763_000_000


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """On a machine where nobody has run the kernels yet, compiling them takes longer than a test waits."""
    warm_up_module("msgpack.lines")
    warm_up_module("ndjson.read")


def packed(chunk: str | bytes | None, *texts: str) -> bytes:
    options = {} if chunk is None else {"chunk": chunk}
    message: bytes = msgpack.packb(["t", [[TIME, {"log": text}] for text in texts], options])
    return message


def digest(*parts: bytes) -> str:
    return hashlib.sha512(b"".join(parts)).hexdigest()


async def read_value(reader: asyncio.StreamReader) -> Any:
    unpacker = msgpack.Unpacker()
    async with asyncio.timeout(20):
        while True:
            data = await reader.read(1000)
            assert data, "closed"
            unpacker.feed(data)
            for value in unpacker:
                return value


def test_an_acknowledgement_comes_after_the_append() -> None:
    """Nothing is said while the log has not done it; then the chunk's id is, and it is the record's claim."""

    async def test() -> None:
        async with running(forward) as at_work:
            at_work.log.holds = True
            reader, writer = await at_work.connect()
            writer.write(packed("one", "a", "b") + packed("two", "c"))
            await until(lambda: len(at_work.log.held) == 2)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await reader.read(1)
            at_work.log.let_go()
            acks = msgpack.packb({"ack": "one"}) + msgpack.packb({"ack": "two"})
            async with asyncio.timeout(20):
                assert await reader.readexactly(len(acks)) == acks
            assert len(claims(at_work)) == 2
            assert sorted(at_work.log.messages()) == ["a", "b", "c"]
            writer.close()

    run(test)


def claims(at_work: Running) -> set[str]:
    return {key_and_time(record.headers[CLAIM])[0] for record in at_work.log.records}


def test_a_chunk_that_is_sent_again_has_its_claim_again() -> None:
    """Over another connection too. One of another tag has its own, though its id is the same."""

    async def test() -> None:
        async with running(forward) as at_work:
            for tag, expected in (("a", 1), ("a", 1), ("b", 2)):
                reader, writer = await at_work.connect()
                writer.write(msgpack.packb([tag, [[TIME, {"log": "x"}]], {"chunk": "one"}]))
                assert await read_value(reader) == {"ack": "one"}
                assert len(claims(at_work)) == expected
                writer.close()

    run(test)


def test_over_tls(certificates: Path) -> None:
    """The handshake with the key, chunks and their acknowledgements; a large one, and what is no TLS."""
    settings = tls_settings(certificates).model_copy(update={"forward_shared_key": "secret"})

    async def test() -> None:
        async with running(forward_tls, settings) as at_work:
            reader, writer = await at_work.connect(client_context(certificates))
            _, options = await read_value(reader)
            proof = digest(b"salt", b"me", options["nonce"], b"secret")
            writer.write(msgpack.packb(["PING", "me", b"salt", proof, "", ""]))
            assert (await read_value(reader))[:2] == ["PONG", True]
            writer.write(packed("one", *(f"{number} {'x' * 900}" for number in range(2000))))
            assert await read_value(reader) == {"ack": "one"}
            assert len(at_work.log.messages()) == 2000
            writer.write(packed("two", "cut off")[:-3])
            writer.close()
            dropped = "tailrace_listener_dropped_total"
            await until(lambda: at_work.figure(dropped, listener="forward_tls", reason="cut off") == 1)
            plain, writer = await at_work.connect()
            writer.write(packed("three", "in the clear"))
            await until_closed(plain)
            assert len(at_work.log.messages()) == 2000
            writer.close()

    run(test)


def test_messages_without_ids_are_one_record() -> None:
    """They need no acknowledgement, and share an append; ids that are no text are claims too."""

    async def test() -> None:
        async with running(forward) as at_work:
            reader, writer = await at_work.connect()
            single = b"".join(msgpack.packb(["t", TIME, {"log": str(number)}]) for number in range(100))
            writer.write(single + packed(b"\xff\x00", "last"))
            assert await read_value(reader) == {"ack": b"\xff\x00"}
            # Appended at once, in whatever order.
            assert sorted((record.rows, CLAIM in record.headers) for record in at_work.log.records) == [
                (1, True),
                (100, False),
            ]
            writer.close()

    run(test)


def test_a_client_waits_while_the_log_refuses() -> None:
    """Full, and away: the acknowledgement comes when it is durable after all."""

    async def test() -> None:
        async with running(forward) as at_work:
            at_work.log.refusals = [RetryLater("away", retry_after_s=0), SlowDown("full", retry_after_s=0)]
            reader, writer = await at_work.connect()
            writer.write(packed("one", "a"))
            assert await read_value(reader) == {"ack": "one"}
            assert at_work.log.messages() == ["a"]
            writer.close()

    run(test)


def test_what_is_not_the_protocol_is_a_dead_letter() -> None:
    """Messages before it are appended; its start is kept, and the connection closed."""

    async def test() -> None:
        async with running(forward) as at_work:
            reader, writer = await at_work.connect()
            writer.write(packed(None, "good") + b"GET / HTTP/1.1\r\n\r\n")
            await until_closed(reader)
            writer.close()
            assert at_work.log.messages() == ["good"]
            (letter,) = at_work.log.letters()
            assert letter["raw"] == b"GET / HTTP/1.1\r\n\r\n"
            assert "does not speak" in str(letter["reason"])

    run(test)


def test_a_message_that_is_cut_off_is_counted() -> None:
    """Its sender knows that it was not acknowledged; here it is a figure."""

    async def test() -> None:
        async with running(forward) as at_work:
            await at_work.send(packed(None, "good") + packed("one", "cut")[:-3])
            dropped = "tailrace_listener_dropped_total"
            await until(lambda: at_work.figure(dropped, listener="forward", reason="cut off") == 1)
            assert at_work.log.messages() == ["good"]

    run(test)


def test_a_message_that_comes_too_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds memory that is missing to others: its connection is closed, however often a byte of it comes."""
    monkeypatch.setattr("tailrace.listen.forward._PATIENCE_S", 0.3)

    async def test() -> None:
        async with running(forward) as at_work:
            idle, idle_writer = await at_work.connect()
            reader, writer = await at_work.connect()
            closed = asyncio.create_task(until_closed(reader))
            writer.write(packed("one", "x" * 1000)[:20])
            while not closed.done():
                writer.write(b"x")
                await asyncio.sleep(0.02)
            await closed
            assert not idle.at_eof()
            idle_writer.write(packed("two", "a"))
            assert await read_value(idle) == {"ack": "two"}
            idle_writer.close()
            writer.close()

    run(test)


def test_the_handshake() -> None:
    """Both sides show that they know the key; a wrong digest, and our own name, are refused."""

    async def test() -> None:
        async with running(forward, ListenerSettings(forward_shared_key="secret")) as at_work:
            reader, writer = await at_work.connect()
            kind, options = await read_value(reader)
            assert (kind, options["auth"], options["keepalive"]) == ("HELO", "", True)
            proof = digest(b"salt", b"me", options["nonce"], b"secret")
            writer.write(msgpack.packb(["PING", "me", b"salt", proof, "", ""]))
            kind, is_right, _, server, proof = await read_value(reader)
            assert (kind, is_right) == ("PONG", True)
            assert proof == digest(b"salt", server.encode(), options["nonce"], b"secret")
            writer.write(packed("one", "a"))
            assert await read_value(reader) == {"ack": "one"}
            writer.close()

            for name, key, more in (
                ("me", b"guess", b""),
                (server, b"secret", b""),
                ("me", b"secret", packed("2", "b")),
            ):
                reader, writer = await at_work.connect()
                _, options = await read_value(reader)
                proof = digest(b"salt", name.encode(), options["nonce"], key)
                writer.write(msgpack.packb(["PING", name, "salt", proof, "", ""]) + more)
                # Who sends before the answer is not even given one.
                if not more:
                    assert (await read_value(reader))[:2] == ["PONG", False]
                await until_closed(reader)
                writer.close()
            assert at_work.log.messages() == ["a"]

    run(test)


def test_what_was_read_is_acknowledged_at_the_end() -> None:
    """The listener stops: the append that is going on ends, and is acknowledged."""

    async def test() -> None:
        async with running(forward) as at_work:
            at_work.log.holds = True
            reader, writer = await at_work.connect()
            writer.write(packed("one", "a"))
            await until(lambda: len(at_work.log.held) == 1)
            stopping = asyncio.create_task(at_work.listener.stop())
            await asyncio.sleep(0.05)
            at_work.log.let_go()
            assert await read_value(reader) == {"ack": "one"}
            await stopping
            await until_closed(reader)
            writer.close()

    run(test)


def test_a_client_that_sends_on_while_the_listener_stops() -> None:
    """What was read until then is appended; what it still sends is not read, and nothing breaks over it."""

    async def test() -> None:
        async with running(forward) as at_work:
            at_work.log.holds = True
            _, writer = await at_work.connect()
            message = msgpack.packb(["t", TIME, {"log": "x" * 900}])
            writer.write(message * 6000)
            await until(lambda: len(at_work.log.held) == 1)
            await asyncio.sleep(0.2)
            stopping = asyncio.create_task(at_work.listener.stop())
            await asyncio.sleep(0.05)
            at_work.log.let_go()
            await stopping
            read = at_work.figure("tailrace_bytes_received_total")
            assert 256 << 10 < read < 3 << 20
            assert len(at_work.log.messages()) == read // len(message)
            writer.transport.abort()

    run(test)


def test_what_a_client_sent_before_it_went_is_appended() -> None:
    """A connection that is reset takes room until all of it is, and is waited for at the end."""

    async def test() -> None:
        async with running(forward) as at_work:
            at_work.log.holds = True
            _, writer = await at_work.connect()
            writer.write(packed(None, "one"))
            await until(lambda: len(at_work.log.held) == 1)
            writer.write(packed(None, "two"))
            await asyncio.sleep(0.1)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            await asyncio.sleep(0.1)
            assert at_work.figure("tailrace_listener_connections", listener="forward") == 1
            stopping = asyncio.create_task(at_work.listener.stop())
            await asyncio.sleep(0.1)
            assert not stopping.done()
            at_work.log.let_go()
            await stopping
            assert at_work.log.messages() == ["one", "two"]
            await until(lambda: at_work.figure("tailrace_listener_connections", listener="forward") == 0)

    run(test)


def test_an_append_that_does_not_end_is_left_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted where its client does not know; no connection is at work when the listener has stopped."""
    monkeypatch.setattr("tailrace.listen.tcp.STOP_S", 0.1)

    async def test() -> None:
        async with running(forward) as at_work:
            at_work.log.holds = True
            _, writer = await at_work.connect()
            writer.write(packed(None, "one"))
            await until(lambda: len(at_work.log.held) == 1)
            await at_work.listener.stop()
            dropped = "tailrace_listener_dropped_total"
            await until(lambda: at_work.figure(dropped, listener="forward", reason="stopped") == 1)
            at_work.log.let_go()
            writer.close()

    run(test)
