"""What the JavaScript of a page and of its workers holds in memory."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

from playwright.sync_api import CDPSession, Page

MIB = 1 << 20
_ANSWER_TIMEOUT_S = 10.0


class Heap:
    """Attach it before the page is loaded: workers are seen as they start."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._devtools: CDPSession = page.context.new_cdp_session(page)
        self._workers: set[str] = set()
        self._answers: dict[int, dict[str, Any]] = {}
        self._numbers = itertools.count(1)
        self._devtools.on("Target.attachedToTarget", lambda event: self._workers.add(event["sessionId"]))
        self._devtools.on("Target.detachedFromTarget", lambda event: self._workers.discard(event["sessionId"]))
        self._devtools.on("Target.receivedMessageFromTarget", self._received)
        # Not flattened: Playwright's sessions carry messages to workers only so.
        wanted = {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": False}
        self._devtools.send("Target.setAutoAttach", wanted)

    def used_mib(self) -> float:
        """Page and workers together, after their garbage was collected."""
        self._devtools.send("HeapProfiler.collectGarbage")
        used = self._devtools.send("Runtime.getHeapUsage")["usedSize"]
        for worker in sorted(self._workers):
            self._ask(worker, "HeapProfiler.collectGarbage")
            used += self._ask(worker, "Runtime.getHeapUsage")["usedSize"]
        return float(used) / MIB

    def _ask(self, worker: str, method: str) -> dict[str, Any]:
        number = next(self._numbers)
        message = json.dumps({"id": number, "method": method})
        self._devtools.send("Target.sendMessageToTarget", {"sessionId": worker, "message": message})
        deadline = time.monotonic() + _ANSWER_TIMEOUT_S
        while number not in self._answers:
            if time.monotonic() > deadline:
                raise TimeoutError(f"a worker did not answer {method}")
            self._page.wait_for_timeout(5)
        answer: dict[str, Any] = self._answers.pop(number)["result"]
        return answer

    def _received(self, event: dict[str, Any]) -> None:
        message = json.loads(event["message"])
        if "id" in message:
            self._answers[message["id"]] = message
