"""One role of Tailrace as a child process."""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.process import HOST, Process, kept_port


class Role(Process):
    """`tailrace ROLE`, with settings by the environment, as in the Compose file, and a data folder of its own.

    `settings` has dotted names: `{"log.url": "kafka://…"}`. `environment` is added as it is.
    """

    stop_timeout_s = 30.0

    def __init__(
        self,
        folder: Path,
        role: str,
        *,
        name: str,
        settings: Mapping[str, str],
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder)
        self.role = role
        self.name = name
        self.port = port or kept_port(self.folder, "port")
        self.settings = dict(settings)
        self._environment = dict(environment or {})

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def command(self) -> Sequence[str]:
        data = str(self.folder / "data")
        return [sys.executable, "-m", "tailrace", self.role, "--listen", self.address, "--data", data]

    def environment(self) -> Mapping[str, str]:
        return {**_foreign_environment(), **self._environment, **as_environment(self.settings)}

    def is_ready(self) -> bool:
        try:
            return self.request("GET", "/readyz")[0] == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of one request on a connection of its own; raises OSError or HTTPException."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


class Generator(Process):
    """`tailrace generate`: made-up events to a gateway, `rate` a second."""

    name = "generator"

    def __init__(self, folder: Path, *, to: str, rate: int) -> None:
        super().__init__(folder)
        self.to = to
        self.rate = rate

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "tailrace", "generate", "--to", self.to, "--rate", str(self.rate)]

    def environment(self) -> Mapping[str, str]:
        return _foreign_environment()

    def is_ready(self) -> bool:
        return self.running


def as_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings as environment variables: `log.url` is TAILRACE_LOG_URL."""
    return {f"TAILRACE_{name.upper().replace('.', '_')}": value for name, value in settings.items()}


def _foreign_environment() -> dict[str, str]:
    # Settings of the person at the keyboard are for another Tailrace.
    return {name: value for name, value in os.environ.items() if not name.startswith("TAILRACE_")}
