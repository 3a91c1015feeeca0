"""OTLP over gRPC: `opentelemetry.proto.collector.logs.v1.LogsService/Export`, usually on port 4317.

Source: "OTLP/gRPC" of the OpenTelemetry Protocol specification. Messages are taken and given as bytes; there are no
generated classes. Other services are UNIMPLEMENTED. What may be sent again has a `RetryInfo`, without which a client
gives the events up.

gRPC gives a message only when all of it is there. So that one that never ends holds up nobody, the method is served
as if it had a stream of messages: each call waits for its own, for RECEIVE_S at most. Nobody here can say no before
it is in memory. So no more calls wait or are worked on at once than `ingest.body_bytes_in_flight_max` has room for,
each with the largest message; one past that is refused unread.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from tailrace.config import MIB, ListenerSettings
from tailrace.errors import BadInput, SlowDown, Stop, TailraceError
from tailrace.ingest.gateway import Gateway
from tailrace.ingest.otlp.answers import code_of, response_protobuf, retry_info, status_protobuf
from tailrace.ingest.otlp.decode import OTLP_PROTOBUF, decode_otlp_protobuf
from tailrace.listen.tcp import bind
from tailrace.ops.metrics import Metrics

METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

MESSAGE_BYTES_MAX = 4 * MIB
"""gRPC's usual bound."""
CALLS_MAX = 256
"""Of small messages, where the settings have room for more."""
RECEIVE_S = 20.0
"""A message of the largest size takes a slow line that long."""
HANDSHAKE_S = 10
"""A connection that does not say that it is HTTP/2 is closed."""
IDLE_S = 600
"""A connection without calls is closed; the client opens another when it needs one."""
STOP_S = 2.5

_logger = logging.getLogger(__name__)
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class OtlpGrpc:
    """Implements `Listener`."""

    def __init__(self, address: str, settings: ListenerSettings, gateway: Gateway, metrics: Metrics) -> None:
        """Raises `Stop` when nothing can listen on the address."""
        # gRPC binds when it starts, which is late for a mistake in the settings.
        bind(address, socket.SOCK_STREAM, "otlp_grpc").close()
        self._address = address
        self._gateway = gateway
        self._metrics = metrics
        limits = gateway.limits
        self._bytes_max = min(limits.body_bytes_max, MESSAGE_BYTES_MAX)
        self.calls_max = max(1, min(limits.body_bytes_in_flight_max // self._bytes_max, CALLS_MAX))
        self.calls = 0
        """Those that wait for their message or are worked on."""
        self._server: grpc.aio.Server | None = None
        self.port = 0
        """Where it listens; known once it has started."""

    async def start(self) -> None:
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", self._bytes_max),
                ("grpc.max_concurrent_streams", self.calls_max),
                ("grpc.max_connection_idle_ms", IDLE_S * 1000),
                ("grpc.server_handshake_timeout_ms", HANDSHAKE_S * 1000),
                # Else two servers would share the port without a word.
                ("grpc.so_reuseport", 0),
                # Clients keep connections alive every ten seconds at the most; who pings more is sent away.
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
                ("grpc.http2.max_ping_strikes", 5),
            ]
        )
        server.add_generic_rpc_handlers([_Handlers(grpc.stream_unary_rpc_method_handler(self._export))])
        try:
            self.port = server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise Stop(f"listeners.otlp_grpc cannot listen on {self._address}: {error}") from error
        await server.start()
        self._server = server

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(STOP_S)

    async def _export(self, messages: AsyncIterator[bytes], context: Any) -> bytes:
        self.calls += 1
        try:
            if self.calls > self.calls_max:
                raise SlowDown(f"more than {self.calls_max} calls at once; send again in a moment")
            message = await _first(messages)
            with self._gateway.reservation() as reservation:
                reservation.add(len(message))
                self._metrics.bytes_received.inc(len(message))
                limits = self._gateway.limits
                decoded = await self._gateway.append(
                    lambda now_us: decode_otlp_protobuf(message, limits=limits, now_us=now_us),
                    content_type=OTLP_PROTOBUF,
                    source=f"gRPC LogsService/Export from {context.peer()}",
                )
            return response_protobuf(decoded)
        except TailraceError as error:
            self._metrics.requests_refused.labels(type(error).__name__).inc()
            refusal = error
        finally:
            self.calls -= 1
        return await _abort(context, refusal)


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, export: grpc.RpcMethodHandler) -> None:
        self._export = export

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._export if handler_call_details.method == METHOD else None


async def _first(messages: AsyncIterator[bytes]) -> bytes:
    try:
        async with asyncio.timeout(RECEIVE_S):
            return await anext(messages)
    except TimeoutError:
        raise BadInput(f"no whole message came within {RECEIVE_S:g} seconds") from None
    except StopAsyncIteration:
        raise BadInput("the call has no message") from None


async def _abort(context: Any, error: TailraceError) -> bytes:
    code = code_of(error)
    retry_after_s = getattr(error, "retry_after_s", None)
    if code == grpc.StatusCode.INTERNAL.value[0]:
        _logger.error("a call met a place that is damaged: %s", error)
    details = status_protobuf(code, str(error), retry_after_s=retry_after_s)
    trailers = [("grpc-status-details-bin", details)]
    if retry_after_s is not None:
        # Where OpenTelemetry's exporter for Python looks for it.
        trailers.append(("google.rpc.retryinfo-bin", retry_info(retry_after_s)))
    await context.abort(_CODES[code], str(error), tuple(trailers))
    return b""
