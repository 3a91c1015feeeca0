"""TCP connections that bring syslog and GELF: what they send, what they may cost, and how they end."""

from __future__ import annotations

import asyncio
import socket
import tracemalloc
from pathlib import Path

import pytest

from tailrace.config import IngestSettings, ListenerSettings
from tailrace.errors import RetryLater, SlowDown, Stop
from tailrace.ingest.gateway import Gateway
from tailrace.listen import appending, framed
from tailrace.listen.forward import forward_tls
from tailrace.listen.gelf import gelf_tcp, gelf_tls
from tailrace.listen.syslog import syslog_tcp, syslog_tls
from tailrace.listen.tcp import TcpListener
from tailrace.model.clock import system_clock_us
from tailrace.ops.metrics import Metrics
from tests.listen.at_work import MemoryLog, client_context, run, running, tls_settings, until, until_closed

LINE = b"<13>Nov 21 10:00:00 host app: %s\n"


def test_what_a_connection_sends_is_appended_in_order() -> None:
    """Whether it ends with a line feed or not; a sender that names no host is told by its address."""

    async def test() -> None:
        async with running() as server:
            await server.send(b"".join(LINE % b"event %d" % n for n in range(1000)) + b"<13>last")
            await until(lambda: len(server.log.messages()) == 1001)
            assert server.log.messages() == [*(f"event {n}" for n in range(1000)), "last"]
            assert server.log.events()[0]["host"] == "host"
            assert server.log.events()[-1]["host"] == "127.0.0.1"

    run(test)


def test_many_connections_share_appends() -> None:
    """Two hundred senders of a message each are far fewer records of the log."""

    async def test() -> None:
        async with running() as server:
            writers = [(await server.connect())[1] for _ in range(200)]
            for number, writer in enumerate(writers):
                writer.write(LINE % b"event %d" % number)
            await until(lambda: len(server.log.messages()) == 200)
            assert sorted(server.log.messages()) == sorted(f"event {n}" for n in range(200))
            assert len(server.log.records) < 100
            for writer in writers:
                writer.close()

    run(test)


def test_messages_past_a_limit_are_dead_letters_of_their_sender() -> None:
    """Cut at the limit, under the sender's address; the connection goes on."""

    async def test() -> None:
        async with running() as server:
            await server.send(b"<13>a\n<13>" + b"x" * 5000 + b"\n<13>b\n")
            await until(lambda: len(server.log.letters()) == 1)
            assert server.log.messages() == ["a", "b"]
            (letter,) = server.log.letters()
            assert letter["source"] == "syslog tcp from 127.0.0.1"
            assert letter["raw"] == b"<13>" + b"x" * 996

    run(test)


def test_a_counted_message_that_is_cut_off_is_a_dead_letter() -> None:
    """It is known that a part of it is missing."""

    async def test() -> None:
        async with running() as server:
            await server.send(b"50 <13>the beginning")
            await until(lambda: len(server.log.letters()) == 1)
            assert server.log.letters()[0]["reason"] == "the connection ended within the message"
            assert server.log.letters()[0]["raw"] == b"50 <13>the beginning"

    run(test)


def test_a_log_that_is_away_or_full_loses_nothing() -> None:
    """TCP senders are told nothing: what was read waits, and is appended when the log is back."""

    async def test() -> None:
        async with running() as server:
            server.log.refusals = [RetryLater("away", retry_after_s=0), SlowDown("full", retry_after_s=0)]
            await server.send(b"".join(LINE % b"event %d" % n for n in range(10)))
            await until(lambda: len(server.log.messages()) == 10)

    run(test)


def test_while_the_log_does_not_answer_the_sender_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little of an endless stream is read; all of it arrives when the log answers again."""
    monkeypatch.setattr(appending, "WAITING_BYTES_MAX", 1 << 20)

    async def test() -> None:
        async with running() as server:
            server.log.holds = True
            count = 400_000
            data = b"".join(LINE % b"event %06d, and some more to say" % n for n in range(count))
            sending = asyncio.create_task(server.send(data))
            read = 0.0
            while read == 0 or read != server.figure("tailrace_bytes_received_total"):
                read = server.figure("tailrace_bytes_received_total")
                await asyncio.sleep(0.3)
            assert read < 8 << 20, "reading did not stop"
            assert not sending.done()
            server.log.let_go()
            async with asyncio.timeout(60):
                await sending
            await until(lambda: sum(record.rows for record in server.log.records) == count)

    run(test)


def test_a_connection_too_many_is_closed_and_counted() -> None:
    """The others are not touched, and there is room again when one has gone."""

    async def test() -> None:
        async with running(settings=ListenerSettings(connections_max=2)) as server:
            first, second = await server.connect(), await server.connect()
            # Both are taken in before the third comes.
            await until(lambda: server.figure("tailrace_listener_connections", listener="syslog_tcp") == 2)
            refused, _ = await server.connect()
            await until_closed(refused)
            assert server.figure("tailrace_listener_connections_refused_total", listener="syslog_tcp") == 1
            first[1].write(LINE % b"still here")
            await until(lambda: server.log.messages() == ["still here"])
            second[1].close()
            await until(lambda: server.figure("tailrace_listener_connections", listener="syslog_tcp") == 1)
            await server.send(LINE % b"room again")
            await until(lambda: len(server.log.messages()) == 2)
            first[1].close()

    run(test)


def test_whoever_begins_a_message_and_says_nothing_more_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had said is a dead letter. A connection that is idle between messages may stay."""
    monkeypatch.setattr(framed, "_STALL_S", 0.2)
    monkeypatch.setattr(framed, "_SWEEP_S", 0.05)

    async def test() -> None:
        async with running() as server:
            idle, slow = await server.connect(), await server.connect()
            idle[1].write(LINE % b"one")
            slow[1].write(b"<13>begun")
            await until_closed(slow[0])
            await until(lambda: len(server.log.letters()) == 1)
            assert server.log.letters()[0]["raw"] == b"<13>begun"
            idle[1].write(LINE % b"two")
            await until(lambda: server.log.messages() == ["one", "two"])
            idle[1].close()

    run(test)


def test_begun_messages_of_all_connections_are_held_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection with the most is closed; one that has little is not."""
    monkeypatch.setattr(framed, "_BEGUN_BYTES_MAX", 2000)

    async def test() -> None:
        async with running() as server:
            small = await server.connect()
            small[1].write(b"<13>sm")
            hoarders = [(await server.connect())[1] for _ in range(5)]
            for writer in hoarders:
                writer.write(b"<13>" + b"x" * 800)
            await until(lambda: len(server.log.letters()) == 3)
            small[1].write(b"all\n")
            await until(lambda: server.log.messages() == ["small"])
            for writer in [*hoarders, small[1]]:
                writer.close()

    run(test)


def test_at_the_end_what_was_read_is_appended() -> None:
    """The messages, the beginning of one, and what was on its way; then the port is free."""

    async def test() -> None:
        async with running() as server:
            _, writer = await server.connect()
            writer.write(LINE % b"one" + b"<13>two")
            await until(lambda: server.figure("tailrace_bytes_received_total") > 0)
            await server.listener.stop()
            assert server.log.messages() == ["one", "two"]
            with pytest.raises(ConnectionRefusedError):
                await server.connect()

    run(test)


def test_gelf_over_tcp() -> None:
    """A NUL behind each message; what is no JSON is a dead letter."""

    async def test() -> None:
        async with running(gelf_tcp) as server:
            await server.send(b'{"host":"h","short_message":"a"}\0nonsense\0{"short_message":"b"}\0')
            await until(lambda: len(server.log.letters()) == 1)
            assert [(event["message"], event["host"]) for event in server.log.events()] == [
                ("a", "h"),
                ("b", "127.0.0.1"),
            ]
            assert server.log.letters()[0]["source"] == "gelf tcp from 127.0.0.1"

    run(test)


def test_an_address_that_is_taken_stops_the_start() -> None:
    """The error names the setting."""

    async def test() -> None:
        async with running() as server:
            gateway = Gateway(MemoryLog(), settings=IngestSettings(), clock=system_clock_us, metrics=Metrics())
            for make in (syslog_tcp, gelf_tcp):
                with pytest.raises(Stop, match=rf"listeners\.{make.__name__}"):
                    make(f"127.0.0.1:{server.port}", ListenerSettings(), gateway, Metrics())

    run(test)


def test_clients_that_are_switched_off_are_found() -> None:
    """They end nothing by themselves: the kernel asks for them after a while."""

    async def test() -> None:
        async with running() as server:
            _, writer = await server.connect()
            await until(lambda: server.figure("tailrace_listener_connections", listener="syslog_tcp") == 1)
            assert isinstance(server.listener, TcpListener)
            (connection,) = server.listener.connections
            accepted = connection.transport.get_extra_info("socket")
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            writer.close()

    run(test)


def test_what_could_not_be_appended_is_told_at_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """How many messages, those on their way to the log included."""
    monkeypatch.setattr(framed, "STOP_S", 0.1)

    async def test() -> None:
        async with running() as server:
            server.log.holds = True
            _, writer = await server.connect()
            writer.write(LINE % b"one" + LINE % b"two")
            await until(lambda: len(server.log.held) == 1)
            writer.write(LINE % b"three")
            await until(lambda: server.figure("tailrace_bytes_received_total") == 3 * len(LINE) + 5)
            await server.listener.stop()
            assert "syslog tcp: 3 messages were read and could not be appended before the end" in caplog.text
            server.log.let_go()
            writer.close()

    run(test)


# -- TLS


def test_syslog_over_tls(certificates: Path) -> None:
    """Counted messages, as RFC 5425 has them; a client that speaks no TLS is not listened to."""

    async def test() -> None:
        async with running(syslog_tls, tls_settings(certificates)) as server:
            await server.send(b"19 <13>1 - h a - - - x5 <13>y", client_context(certificates))
            await until(lambda: server.log.messages() == ["x", "y"])
            await server.send(LINE % b"in the clear")
            await asyncio.sleep(0.1)
            assert len(server.log.messages()) == 2

    run(test)


def test_gelf_over_tls(certificates: Path) -> None:
    """As over TCP, with the same certificate."""

    async def test() -> None:
        async with running(gelf_tls, tls_settings(certificates)) as server:
            await server.send(b'{"short_message":"a"}\0nonsense\0', client_context(certificates))
            await until(lambda: len(server.log.letters()) == 1)
            assert server.log.messages() == ["a"]
            assert server.log.letters()[0]["source"] == "gelf tls from 127.0.0.1"

    run(test)


def test_connections_without_a_handshake_are_bounded_too(certificates: Path) -> None:
    """Each holds more than one that is at work; there is room again when they have gone."""
    settings = tls_settings(certificates).model_copy(update={"connections_max": 2})

    async def test() -> None:
        async with running(syslog_tls, settings) as server:
            silent = [await server.connect() for _ in range(2)]
            refused, _ = await server.connect()
            await until_closed(refused)
            assert server.figure("tailrace_listener_connections_refused_total", listener="syslog_tls") == 1
            for _, writer in silent:
                writer.close()
                await writer.wait_closed()
            await server.send(LINE % b"room again", client_context(certificates))
            await until(lambda: server.log.messages() == ["room again"])

    run(test)


def test_an_idle_connection_over_tls_holds_little(certificates: Path) -> None:
    """Its buffer is for a record or two, and not for the 256 KiB that asyncio reads at once."""

    async def test() -> None:
        async with running(syslog_tls, tls_settings(certificates)) as server:
            tracemalloc.start()
            try:
                writers = [(await server.connect())[1] for _ in range(20)]
                await asyncio.sleep(0.05)
                held_bytes, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert held_bytes < 20 * 100_000
            for writer in writers:
                writer.close()

    run(test)


def test_a_sender_that_never_reads_loses_nothing_when_it_closes(certificates: Path) -> None:
    """TLS would leave something for it to read, and closing before that is read takes back what was sent."""
    count = 100_000

    def send(port: int) -> None:
        context = client_context(certificates)
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            client.sendall(b"".join(LINE % b"event %d" % number for number in range(count)))

    async def test() -> None:
        async with running(syslog_tls, tls_settings(certificates)) as server:
            await asyncio.to_thread(send, server.port)
            await until(lambda: sum(record.rows for record in server.log.records) == count)

    run(test)


def test_a_client_without_a_certificate_is_refused_where_one_is_asked_for(certificates: Path) -> None:
    """And one that has a certificate of the CA is not."""

    async def test() -> None:
        async with running(syslog_tls, tls_settings(certificates, client_ca=True)) as server:
            await server.send(LINE % b"signed", client_context(certificates, certificate=True))
            await until(lambda: server.log.messages() == ["signed"])
            # With TLS 1.3 the client is ready before the server has looked for a certificate.
            reader, writer = await server.connect(client_context(certificates))
            writer.write(LINE % b"unsigned")
            await until_closed(reader)
            assert server.log.messages() == ["signed"]

    run(test)


def test_tls_settings_that_cannot_be_right_stop_the_start(certificates: Path, tmp_path: Path) -> None:
    """The error names the setting, the file, and what is wrong with it."""
    nothing, text = tmp_path / "nothing.pem", tmp_path / "text.pem"
    text.write_text("this is no certificate")
    good = tls_settings(certificates)
    wrong = {
        r"listeners\.syslog_tls needs a certificate: set listeners\.tls_certificate": ListenerSettings(),
        r"listeners\.tls_certificate = .*nothing\.pem cannot be read": ListenerSettings(tls_certificate=nothing),
        r"listeners\.tls_key = .*client\.key are not a certificate and its key": good.model_copy(
            update={"tls_key": certificates / "client.key"}
        ),
        r"listeners\.tls_client_ca = .*text\.pem holds no certificates": good.model_copy(
            update={"tls_client_ca": text}
        ),
    }
    gateway = Gateway(MemoryLog(), settings=IngestSettings(), clock=system_clock_us, metrics=Metrics())
    for problem, settings in wrong.items():
        with pytest.raises(Stop, match=problem):
            syslog_tls("127.0.0.1:0", settings, gateway, Metrics())
    for make in (gelf_tls, forward_tls):
        with pytest.raises(Stop, match=rf"listeners\.{make.__name__} needs a certificate"):
            make("127.0.0.1:0", ListenerSettings(), gateway, Metrics())
