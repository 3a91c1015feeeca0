"""Requests of one event each, decoded and appended together.

Most programs send one event a request. Each alone would cost a decoder's call, an Arrow stream and a record of the
log; what waits while the batch before it is made durable goes together instead, as if it were one body of many lines.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence

from tailrace.ingest.decoded import Rejected
from tailrace.ingest.json_logs import REJECTED_MAX
from tailrace.ingest.receipt import Receipt

# Beyond this a body is worth a decoder's call of its own.
_LINE_BYTES_MAX = 16 << 10

# Where a second object may begin; or it stands in a text, which costs a decoder's call.
_SECOND_OBJECT = re.compile(rb"\}\s*\{")

AppendLines = Callable[[Sequence[bytes], Sequence[str]], Awaitable[list[Rejected]]]
"""Takes lines and the source of each; returns the rejected ones, numbered by line, once all of it is durable."""


def single_line(body: bytes) -> bytes | None:
    """The body as one JSON line when it is a single small object written on one line, else None."""
    if len(body) > _LINE_BYTES_MAX:
        return None
    line = body.strip()
    if not line.startswith(b"{") or b"\n" in line or b"\r" in line or _SECOND_OBJECT.search(line):
        return None
    return line


class Gathering:
    """Used on one event loop only. The bound of what waits is that of all bodies in flight."""

    def __init__(self, append_lines: AppendLines) -> None:
        self._append_lines = append_lines
        self._waiting: list[tuple[bytes, str, asyncio.Future[Receipt]]] = []
        self._appending: asyncio.Task[None] | None = None

    async def accept(self, line: bytes, source: str) -> Receipt:
        """As `Gateway.accept` for a body of this one line."""
        answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._waiting.append((line, source, answer))
        if self._appending is None:
            self._appending = asyncio.create_task(self._append_waiting())
        return await answer

    async def _append_waiting(self) -> None:
        try:
            while self._waiting:
                # Of more than these the decoder would not name every one that is wrong.
                taken, self._waiting = self._waiting[:REJECTED_MAX], self._waiting[REJECTED_MAX:]
                await self._append(taken)
        finally:
            self._appending = None

    async def _append(self, taken: Sequence[tuple[bytes, str, asyncio.Future[Receipt]]]) -> None:
        try:
            rejected = await self._append_lines([line for line, _, _ in taken], [source for _, source, _ in taken])
        except Exception as error:
            for _, _, answer in taken:
                if not answer.done():
                    answer.set_exception(error)
            return
        by_line = {each.line: Rejected(1, each.reason, each.raw) for each in rejected}
        for number, (_, _, answer) in enumerate(taken, start=1):
            if not answer.done():
                wrong = by_line.get(number)
                answer.set_result(Receipt(1, []) if wrong is None else Receipt(0, [wrong]))
