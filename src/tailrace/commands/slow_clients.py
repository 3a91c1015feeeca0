"""HTTP connections that bring no request, or bring its head a byte at a time or without an end, or go on with a body
that has been refused: they are closed, so that they cannot pile up. A body that comes too slowly is refused where it
is received (`serve/receiving.py`)."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_MAX_S = 30.0
"""From the connection, or from a request's first byte, until its headers are complete: far more than any client that
means well needs, on any line."""

HEAD_BYTES_MAX = 512 << 10
"""Far more than a head has; what is read at once, up to 256 KiB, may begin with the end of a body."""

REST_MAX_S = 300.0
"""From the answer until the rest of a body that was answered before its end: many clients read no answer before they
have sent all."""


class BoundedRequests(HttpToolsProtocol):
    """uvicorn's protocol with a bound for all that no route waits for."""

    _timer: asyncio.TimerHandle | None = None
    _head_bytes: int | None = None
    """What has come of a head; None while none is expected."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await_no_longer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_bytes is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._await_no_longer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._await_no_longer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:
            self._timer = self.loop.call_later(REST_MAX_S, self._close)

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._timer = self.loop.call_later(HEAD_MAX_S, self._close)

    def _await_no_longer(self) -> None:
        self._head_bytes = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        self._await_no_longer()
        if not self.transport.is_closing():
            self.transport.close()
