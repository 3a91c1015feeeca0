"""uvicorn's HTTP protocol, but for one thing: a body is handed on in parts of a megabyte instead of 64 kilobytes.

Each part costs a turn of the event loop through every layer of the application; for bodies of log lines that was as
much work as decoding them.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PART_BYTES = 1 << 20
"""So much of a body may be held for a connection before the application has seen and counted it."""


class LargePartsProtocol(HttpToolsProtocol):
    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        # The end of the body sets the event too, in `on_message_complete`.
        if len(cycle.body) >= PART_BYTES:
            self.flow.pause_reading()
            cycle.message_event.set()
