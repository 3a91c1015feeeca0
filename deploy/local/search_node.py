"""What the two search servers, Elasticsearch and OpenSearch, have in common."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.local.java_process import JavaProcess
from deploy.local.process import HOST, kept_port


class SearchNode(JavaProcess):
    """One node, no security. `settings` are the server's own, such as `thread_pool.write.queue_size`."""

    main: str
    heap_mb_max = 768

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        long_lived: bool = False,
    ) -> None:
        super().__init__(folder, long_lived=long_lived)
        self.port = port or kept_port(self.folder, "port")
        self.transport_port = kept_port(self.folder, "transport")
        self.settings = dict(settings or {})

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def store_url(self, name: str = "logs") -> str:
        """The URL that a store of Tailrace takes."""
        return f"elasticsearch://{self.address}/{name}"

    def command(self) -> Sequence[str]:
        settings = {
            "network.host": HOST,
            "http.port": str(self.port),
            "transport.port": str(self.transport_port),
            "discovery.type": "single-node",
            "cluster.name": "tailrace",
            "node.name": "local",
            # A laptop's disk that is 90 % full would make every index read-only.
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            **self.settings,
        }
        arguments = [f"{name}={value}" for name, value in settings.items()]
        options = ("-Djava.security.manager=allow", self.logging_option())
        return self.java(self.main, str(self.folder / "home"), *arguments, options=options)

    def is_ready(self) -> bool:
        """Every primary shard is there: after a kill -9 the node answers long before it has opened its indices."""
        try:
            health = self.get("/_cluster/health")
        except (OSError, ValueError):
            return False
        return health["status"] in ("yellow", "green")

    def get(self, path: str) -> Any:
        """The JSON answer of a GET; raises OSError when there is none or its status is 400 or more."""
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return json.load(answer)
