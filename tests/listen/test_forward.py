"""Fluent's forward protocol over TCP: when it is acknowledged, who may send, and how a connection ends."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import msgpack
import pytest

from tailrace.config import ListenerSettings
from tailrace.errors import RetryLater, SlowDown
from tailrace.kernels import msgpack_json, ndjson
from tailrace.listen.forward import forward
from tailrace.model.claim import CLAIM, key_and_time
from tests.listen.at_work import run, running, until, until_closed

TIME = 1_763_000_000


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """On a machine where nobody has run the kernels yet, compiling them takes longer than a test waits."""
    msgpack_json.warm_up()
    ndjson.warm_up()


def packed(chunk: str | bytes | None, *texts: str) -> bytes:
    options = {} if chunk is None else {"chunk": chunk}
    message: bytes = msgpack.packb(["t", [[TIME, {"log": text}] for text in texts], options])
    return message


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
            keys = {key_and_time(record.headers[CLAIM])[0] for record in at_work.log.records}
            assert keys == {"key/forward%2Fone", "key/forward%2Ftwo"}
            assert sorted(at_work.log.messages()) == ["a", "b", "c"]
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

    def digest(*parts: bytes) -> str:
        return hashlib.sha512(b"".join(parts)).hexdigest()

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
