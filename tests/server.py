"""A real `tailrace up` in a process of its own, for tests that send to it, query it and kill it."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from deploy.local.process import free_port as free_port

START_TIMEOUT_S = 60.0


class Server:
    """`arguments` are those of `tailrace up`. What it prints goes to `output` beside the data."""

    def __init__(self, data: Path, *arguments: str, port: int | None = None) -> None:
        self.data = data
        self.port = port or free_port()
        self.output = data.parent / f"{data.name}.output"
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *, wait: bool = True) -> Server:
        command = [sys.executable, "-m", "tailrace", "up", "--data", str(self.data)]
        command += ["--listen", f"127.0.0.1:{self.port}", *self._arguments]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TAILRACE_")}
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise AssertionError(f"tailrace up ended with {self._process.returncode}:\n{self.said()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.request("GET", "/readyz")[0] == 200:
                    return
            time.sleep(0.02)
        raise AssertionError(f"not ready after {START_TIMEOUT_S} s:\n{self.said()}")

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self, *, timeout_s: float = 30.0) -> int:
        """SIGTERM; returns the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout_s)

    def said(self) -> str:
        return self.output.read_text("utf-8", "replace")

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def get_json(self, path: str) -> Any:
        status, body = self.request("GET", path)
        assert status == 200, (status, body)
        return orjson.loads(body)

    def post_logs(self, body: bytes, content_type: str = "application/x-ndjson") -> tuple[int, Any]:
        status, answer = self.request("POST", "/logs", body, {"content-type": content_type})
        return status, orjson.loads(answer)

    def accepted(self) -> int:
        """How many events this run of the server has taken in."""
        _, text = self.request("GET", "/metrics")
        found = re.search(rb"^tailrace_events_accepted_total (\S+)", text, re.MULTILINE)
        return int(float(found[1])) if found else 0

    def wait_stored(self, *, timeout_s: float = 60.0) -> None:
        """Until the stores have every event of the log."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not any(self.get_json("/api/status")["log"]["lag_records"].values()):
                return
            time.sleep(0.05)
        raise AssertionError(f"the stores did not catch up in {timeout_s} s:\n{self.said()}")

    def __enter__(self) -> Server:
        try:
            return self.start()
        except BaseException:
            # One that was too slow would go on beside all further tests.
            self.kill()
            raise

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            try:
                self.stop()
            finally:
                self._process.kill()
                self._process.wait()
