"""The processes of the Compose file, with the real servers, on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from deploy.local.elasticsearch import Elasticsearch
from deploy.local.kafka import Kafka, KafkaCluster
from deploy.local.opensearch import OpenSearch
from deploy.local.process import Process, stop_all
from deploy.local.redis import Redis
from deploy.local.role import Generator, Role
from deploy.local.search_node import SearchNode

RoleName = Literal["gateway", "worker", "api"]


class Cluster:
    """Kafka, Redis, Elasticsearch and the roles of Tailrace, each a process that can be killed, paused, restarted.

    Servers that are given (`kafka`, `redis`, `search`) must run already and are left running; the others are the
    cluster's own and live in `folder`, as everything else does: the lake in `folder/lake`, the text copy in
    `folder/logs`. `name` is the topic and the indices' name. `settings` (dotted names) are added to those of every
    role. With `rate` a generator sends so many events a second to the first gateway.
    """

    name = "cluster"

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 3,
        gateways: int = 2,
        apis: int = 2,
        gateway_port: int | None = None,
        api_port: int | None = None,
        rate: int | None = None,
        name: str = "logs",
        settings: Mapping[str, str] | None = None,
        kafka: Kafka | KafkaCluster | None = None,
        redis: Redis | None = None,
        search: SearchNode | type[SearchNode] = Elasticsearch,
        long_lived: bool = False,
    ) -> None:
        self.folder = folder.absolute()
        self.servers: list[Process] = []
        if kafka is None:
            kafka = Kafka(self.folder / "kafka", long_lived=long_lived)
            self.servers.append(kafka)
        if redis is None:
            redis = Redis(self.folder / "redis")
            self.servers.append(redis)
        if isinstance(search, type):
            search = search(self.folder / search.name, long_lived=long_lived)
            self.servers.append(search)
        self.kafka, self.redis, self.search = kafka, redis, search
        self.settings = {
            "log.url": kafka.url(name),
            "hot.url": redis.url,
            "stores": json.dumps(
                [f"file://{self.folder / 'lake'}", search.store_url(name), f"jsonl://{self.folder / 'logs'}"]
            ),
            **(settings or {}),
        }
        self.workers = [self._role("worker", i) for i in range(workers)]
        self.gateways = [self._role("gateway", i, gateway_port if i == 0 else None) for i in range(gateways)]
        self.apis = [self._role("api", i, api_port if i == 0 else None) for i in range(apis)]
        self.generator = None
        if rate is not None:
            self.generator = Generator(self.folder / "generator", to=self.gateways[0].url, rate=rate)

    @property
    def roles(self) -> list[Role]:
        return [*self.workers, *self.gateways, *self.apis]

    def processes(self) -> Iterator[Process]:
        """Everything the cluster itself runs, in the order of its start."""
        yield from self.servers
        yield from self.roles
        if self.generator is not None:
            yield self.generator

    def add(self, role: RoleName) -> Role:
        """Starts one more of a role."""
        existing = {"gateway": self.gateways, "worker": self.workers, "api": self.apis}[role]
        added = self._role(role, len(existing))
        existing.append(added)
        return added.start()

    def start(self) -> Self:
        """Returns when everything is ready; raises StartFailed or Missing, and then leaves nothing running."""
        try:
            _start_together(self.servers)
            _start_together(self.roles)
            if self.generator is not None:
                self.generator.start()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """In reverse: what feeds others stops before them, so that the workers have nothing left to be sent."""
        if self.generator is not None:
            self.generator.stop()
        stop_all(self.apis)
        stop_all(self.gateways)
        stop_all(self.workers)
        stop_all(reversed(self.servers))

    def kill(self) -> None:
        for process in self.processes():
            process.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _role(self, role: RoleName, index: int, port: int | None = None) -> Role:
        name = f"{role}{index + 1}"
        return Role(self.folder / name, role, name=name, settings=self.settings, port=port)


SEARCH_SERVERS: Mapping[str, type[SearchNode]] = {"elasticsearch": Elasticsearch, "opensearch": OpenSearch}


def _start_together(processes: Sequence[Process]) -> None:
    for process in processes:
        process.spawn()
    for process in processes:
        process.wait_ready()
