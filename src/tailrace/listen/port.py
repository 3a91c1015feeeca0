"""What takes events in on a port of its own, for protocols that are not HTTP."""

from __future__ import annotations

from typing import Protocol


class Listener(Protocol):
    """Runs on the event loop of the server, between `start` and `stop`."""

    async def start(self) -> None:
        """Raises `Stop` when its address cannot be listened on."""
        ...

    async def stop(self) -> None:
        """Take nothing more in, append what was read, answer for it, and let go of the port; within a few seconds."""
        ...
