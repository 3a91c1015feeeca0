"""Callers of a server that is about to end: many small requests on kept connections, and bodies that come slowly."""

from __future__ import annotations

import http.client
import itertools
import select
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import orjson

HOST = "127.0.0.1"
TIMEOUT_S = 60


def event(key: str) -> bytes:
    return orjson.dumps({"message": f"event {key}", "n": key, "level": "INFO", "service": "roles"})


@dataclass
class Told:
    """What the callers were told. `unanswered`: events whose connection was closed without an answer."""

    acknowledged: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    without_retry_after: int = 0


class Callers:
    """`count` callers post one event after the other, each on a connection it keeps, until nobody listens."""

    def __init__(self, port: int, count: int) -> None:
        self.told = Told()
        self._port = port
        self._gone = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(f"c{number}",)) for number in range(count)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> Told:
        """Once the server has ended."""
        self._gone.set()
        for thread in self._threads:
            thread.join()
        return self.told

    def _run(self, name: str) -> None:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=TIMEOUT_S)
        for number in itertools.count():
            key = f"{name}-{number}"
            try:
                connection.request("POST", "/logs", event(key), {"content-type": "application/json"})
                answer = connection.getresponse()
                answer.read()
            except ConnectionRefusedError:
                connection.close()
                if self._gone.is_set():
                    return
                time.sleep(0.01)
            except (OSError, http.client.HTTPException):
                self.told.unanswered.add(key)
                connection.close()
            else:
                self._note(key, answer)

    def _note(self, key: str, answer: http.client.HTTPResponse) -> None:
        self.told.statuses[answer.status] += 1
        if answer.status == 202:
            self.told.acknowledged.add(key)
        elif answer.getheader("retry-after") is None:
            self.told.without_retry_after += 1


class SlowBody:
    """One request whose body of `parts` events comes one event in `pause_s`; it has begun when `start` returns."""

    def __init__(self, port: int, name: str, *, parts: int, pause_s: float) -> None:
        self.keys = [f"{name}-{number}" for number in range(parts)]
        self.status = 0
        self.retry_after: str | None = None
        self.failure: Exception | None = None
        self._pause_s = pause_s
        self._parts = [event(key) + b"\n" for key in self.keys]
        self._socket = socket.create_connection((HOST, port), timeout=TIMEOUT_S)
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        length = sum(map(len, self._parts))
        head = (
            f"POST /logs HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/x-ndjson\r\nContent-Length: {length}"
        )
        self._socket.sendall(head.encode() + b"\r\n\r\n" + self._parts[0])
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        try:
            with self._socket:
                answered = select.poll()
                answered.register(self._socket, select.POLLIN)
                for part in self._parts[1:]:
                    # Whoever is answered early has nothing to send any more.
                    if answered.poll(self._pause_s * 1000):
                        break
                    self._socket.sendall(part)
                answer = http.client.HTTPResponse(self._socket)
                answer.begin()
                answer.read()
                self.status, self.retry_after = answer.status, answer.getheader("retry-after")
        except (OSError, http.client.HTTPException) as error:
            self.failure = error
