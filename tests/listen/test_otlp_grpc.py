"""OTLP over gRPC, with a real server and raw calls: what may be sent again says so, and nobody holds up others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import uvloop
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from tailrace.broker.sqlite import SqliteLog
from tailrace.config import IngestSettings, ListenerSettings, LogSettings
from tailrace.errors import Stop
from tailrace.ingest.gateway import Gateway
from tailrace.listen import otlp_grpc
from tailrace.listen.otlp_grpc import METHOD, OtlpGrpc
from tailrace.model.clock import system_clock_us
from tailrace.ops.metrics import Metrics
from tests.ingest.otlp_requests import log_record, request

GOOD = request([log_record("hello")]).SerializeToString()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    opened = SqliteLog(tmp_path / "log.db", settings=LogSettings(), clock=system_clock_us)
    yield opened
    opened.close()


@pytest.fixture
def gateway(log: SqliteLog) -> Iterator[Gateway]:
    limits = IngestSettings(body_bytes_max=5_000, body_bytes_in_flight_max=29_999)
    opened = Gateway(log, settings=limits, clock=system_clock_us, metrics=Metrics())
    yield opened
    opened.close()


@asynccontextmanager
async def listening(gateway: Gateway) -> AsyncIterator[tuple[OtlpGrpc, grpc.aio.Channel]]:
    listener = OtlpGrpc("127.0.0.1:0", ListenerSettings(), gateway, Metrics())
    await listener.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{listener.port}") as channel:
            yield listener, channel
    finally:
        await listener.stop()


def another(listener: OtlpGrpc) -> grpc.aio.Channel:
    """A connection of its own: channels to one address share theirs otherwise."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.insecure_channel(f"127.0.0.1:{listener.port}", options=options)


async def refusal(channel: grpc.aio.Channel, body: bytes) -> tuple[grpc.StatusCode, Status, Any]:
    """The code, the status in the trailers, and the trailers."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await channel.unary_unary(METHOD)(body)
    trailers = dict(refused.value.trailing_metadata() or ())
    return refused.value.code(), Status.FromString(trailers["grpc-status-details-bin"]), trailers


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for is a number
            await asyncio.sleep(0.01)


def test_what_may_be_sent_again_says_when(gateway: Gateway, log: SqliteLog) -> None:
    """RESOURCE_EXHAUSTED and UNAVAILABLE with a `RetryInfo`; what is wrong is INVALID_ARGUMENT without one."""

    async def scenario() -> None:
        async with listening(gateway) as (_, channel):
            assert await channel.unary_unary(METHOD)(GOOD) == b""
            code, status, _ = await refusal(channel, b"\x0a\x05")
            assert (code, status.code, len(status.details)) == (grpc.StatusCode.INVALID_ARGUMENT, 3, 0)
            with gateway.reservation() as held:
                held.add(29_998)
                busy = await refusal(channel, GOOD)
            log.close()
            away = await refusal(channel, GOOD)
            for (code, status, trailers), expected in (
                (busy, grpc.StatusCode.RESOURCE_EXHAUSTED),
                (away, grpc.StatusCode.UNAVAILABLE),
            ):
                retry = RetryInfo()
                assert (code, status.code) == (expected, expected.value[0])
                assert status.details[0].Unpack(retry)
                assert retry.retry_delay.seconds >= 1
                assert RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"]) == retry

    uvloop.run(scenario())


def test_messages_that_never_come_hold_up_nobody(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call waits only so long for its message; calls past the bound are told to come again; others are served.

    The bound is in bytes: what all calls may bring together is no more than the bodies in flight may.
    """
    monkeypatch.setattr(otlp_grpc, "RECEIVE_S", 1.0)

    async def scenario() -> None:
        async with listening(gateway) as (listener, channel):
            assert listener.calls_max * 5_000 <= 29_999

            async def silent() -> AsyncIterator[bytes]:
                await asyncio.sleep(60)
                yield b""

            calls = [channel.stream_unary(METHOD)(silent()) for _ in range(5)]
            await until(lambda: listener.calls == 5)
            async with another(listener) as other:
                code, status, _ = await refusal(other, GOOD)
                assert (code, len(status.details)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 1)
                await until(lambda: listener.calls == 0)
                assert await other.unary_unary(METHOD)(GOOD) == b""
            for call in calls:
                assert await call.code() == grpc.StatusCode.INVALID_ARGUMENT

    uvloop.run(scenario())


def test_a_call_without_a_message_is_refused(gateway: Gateway) -> None:
    """And so is one that has no such method."""

    async def nothing() -> AsyncIterator[bytes]:
        for message in list[bytes]():
            yield message

    async def scenario() -> None:
        async with listening(gateway) as (_, channel):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.stream_unary(METHOD)(nothing())
            assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export")(b"")
            assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED

    uvloop.run(scenario())


def test_an_address_that_is_taken_stops_the_server(gateway: Gateway) -> None:
    """With the setting's name, and not by sharing the port in silence."""

    async def scenario() -> None:
        async with listening(gateway) as (listener, _):
            with pytest.raises(Stop, match=r"cannot listen on .* \(listeners\.otlp_grpc\)"):
                OtlpGrpc(f"127.0.0.1:{listener.port}", ListenerSettings(), gateway, Metrics())

    uvloop.run(scenario())
