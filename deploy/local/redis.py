"""Redis, with its append-only file, so that a restart keeps what it had."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from deploy.local.process import HOST, Missing, Process, kept_port


class Redis(Process):
    """`arguments` are further ones of redis-server, such as `--maxmemory 64mb`.

    After a kill -9 all is kept that was written before its last second.
    """

    name = "redis"

    def __init__(self, folder: Path, *, port: int | None = None, arguments: Sequence[str] = ()) -> None:
        super().__init__(folder)
        self.port = port or kept_port(self.folder, "port")
        self.arguments = tuple(arguments)

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        return f"redis://{self.address}/0"

    def command(self) -> Sequence[str]:
        program = shutil.which("redis-server")
        if program is None:
            raise Missing("redis-server is not on the PATH: install it (Debian: apt-get install redis-server)")
        listen = ["--bind", HOST, "--port", str(self.port), "--dir", str(self.folder), "--daemonize", "no"]
        durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        return [program, *listen, *durable, *self.arguments]

    def is_ready(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")  # Not -LOADING: it still reads its file.
        except OSError:
            return False
