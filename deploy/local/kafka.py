"""Apache Kafka in KRaft mode: one broker, or three that replicate to each other."""

from __future__ import annotations

import base64
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local import jars
from deploy.local.java_process import JavaProcess
from deploy.local.process import HOST, StartFailed, kept_port

MESSAGE_BYTES_MAX = 32 << 20
CLUSTER_SIZE = 3
ISR_TIMEOUT_S = 60.0


def new_id() -> str:
    """An id as Kafka writes them: 16 random bytes, base64 for URLs, no padding, never a leading dash."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


class Kafka(JavaProcess):
    """A broker that is its own controller, with RF 1; topics are not made by themselves.

    `settings` overrides lines of server.properties. Data is in `folder/data`.
    """

    name = "kafka"
    jars_name = "kafka"
    heap_mb_max = 384

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        settings: dict[str, str] | None = None,
        node_id: int = 1,
        long_lived: bool = False,
    ) -> None:
        super().__init__(folder, long_lived=long_lived)
        self.port = port or kept_port(self.folder, "port")
        self.controller_port = kept_port(self.folder, "controller")
        self.node_id = node_id
        self.settings = settings or {}
        self.format_arguments = ["--standalone", "--cluster-id", new_id()]

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def controller_address(self) -> str:
        return f"{HOST}:{self.controller_port}"

    def url(self, topic: str = "logs") -> str:
        return f"kafka://{self.address}/{topic}"

    def properties(self) -> dict[str, str]:
        return {
            "process.roles": "broker,controller",
            "node.id": str(self.node_id),
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{self.controller_address}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "controller.quorum.bootstrap.servers": self.controller_address,
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "unclean.leader.election.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "message.max.bytes": str(MESSAGE_BYTES_MAX),
            "replica.fetch.max.bytes": str(MESSAGE_BYTES_MAX),
            "socket.request.max.bytes": str(4 * MESSAGE_BYTES_MAX),
            "num.network.threads": "2",
            "num.io.threads": "4",
            # The default, 128 MB, is a third of this heap.
            "log.cleaner.dedupe.buffer.size": "8388608",
            # A broker that was killed may come back after its session has ended: 3 s, not 9.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            **self.settings,
        }

    def command(self) -> Sequence[str]:
        properties = self.folder / "server.properties"
        properties.write_text("".join(f"{name}={value}\n" for name, value in self.properties().items()))
        options = (self.logging_option(), *self._class_archive())
        if not (self.folder / "data" / "meta.properties").exists():
            tool = self.java("kafka.tools.StorageTool", "format", "--config", str(properties), options=options)
            done = subprocess.run([*tool, *self.format_arguments], capture_output=True, text=True, check=False)
            if done.returncode:
                raise StartFailed(f"kafka's storage could not be formatted:\n{done.stdout}{done.stderr}")
        return self.java("kafka.Kafka", str(properties), options=options)

    def _class_archive(self) -> tuple[str, ...]:
        archive = class_archive()
        # Java ignores an archive of another Java, and is told not to speak of it.
        return (f"-XX:SharedArchiveFile={archive}", "-Xlog:disable") if archive.exists() else ()

    def is_ready(self) -> bool:
        return brokers_of(self.address) >= 1


class KafkaCluster:
    """Three brokers, each also a controller: RF 3, min ISR 2. A write that is acknowledged is on two of them."""

    name = "kafka_cluster"

    def __init__(self, folder: Path, *, settings: dict[str, str] | None = None, long_lived: bool = False) -> None:
        nodes = range(1, CLUSTER_SIZE + 1)
        self.brokers = [Kafka(folder / f"broker{i}", node_id=i, long_lived=long_lived) for i in nodes]
        cluster_id = new_id()
        voters = ",".join(f"{broker.node_id}@{broker.controller_address}:{new_id()}" for broker in self.brokers)
        for broker in self.brokers:
            broker.format_arguments = ["--initial-controllers", voters, "--cluster-id", cluster_id]
            broker.settings = {
                "controller.quorum.bootstrap.servers": ",".join(b.controller_address for b in self.brokers),
                "default.replication.factor": "3",
                "min.insync.replicas": "2",
                "offsets.topic.replication.factor": "3",
                "transaction.state.log.replication.factor": "3",
                "transaction.state.log.min.isr": "2",
                "share.coordinator.state.topic.replication.factor": "3",
                "share.coordinator.state.topic.min.isr": "2",
                **(settings or {}),
            }

    @property
    def address(self) -> str:
        """All three, separated by commas."""
        return ",".join(broker.address for broker in self.brokers)

    def url(self, topic: str = "logs") -> str:
        return f"kafka://{self.address}/{topic}"

    @property
    def running(self) -> bool:
        return any(broker.running for broker in self.brokers)

    def start(self) -> Self:
        """Starts those that do not run; returns when each knows all three."""
        started = [broker for broker in self.brokers if not broker.running]
        try:
            for broker in started:
                broker.spawn()
            for broker in started:
                broker.wait_ready()
            deadline = time.monotonic() + started[0].start_timeout_s if started else 0.0
            while any(brokers_of(broker.address) < CLUSTER_SIZE for broker in started):
                if time.monotonic() > deadline:
                    raise StartFailed("the brokers did not find each other:\n" + started[0].said()[-4000:])
                time.sleep(0.05)
        except BaseException:
            for broker in started:
                broker.kill()
            raise
        return self

    def stop(self) -> None:
        # A controller that hands over at SIGTERM needs a majority, which is gone once two have stopped.
        for broker in self.brokers[:-1]:
            broker.stop()
        self.brokers[-1].kill()

    def kill(self) -> None:
        for broker in self.brokers:
            broker.kill()

    def wait_full_isr(self, timeout_s: float = ISR_TIMEOUT_S) -> None:
        """Until every partition has all its replicas in sync, so that the next broker may be killed."""
        deadline = time.monotonic() + timeout_s
        while not self._has_full_isr():
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"the replicas of the brokers {self.address} were not in sync after {timeout_s:g} s"
                )
            time.sleep(0.1)

    def _has_full_isr(self) -> bool:
        try:
            metadata = _admin(self.address).list_topics(timeout=5)
        except KafkaException:
            return False
        partitions = [part for topic in metadata.topics.values() for part in topic.partitions.values()]
        full = all(part.leader >= 0 and len(part.isrs) == len(part.replicas) for part in partitions)
        return full and len(metadata.brokers) == CLUSTER_SIZE

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def class_archive() -> Path:
    """Where the archive of loaded classes is kept: with it a broker starts in half the time (Java's AppCDS)."""
    return jars.jars_folder("kafka") / "classes.jsa"


def make_class_archive() -> None:
    """Runs a broker once and lets Java write down the classes it has loaded."""
    with tempfile.TemporaryDirectory() as folder:
        partial = Path(folder) / "classes.jsa"
        with _Archived(Path(folder), partial):
            pass
        shutil.move(partial, class_archive())


class _Archived(Kafka):
    def __init__(self, folder: Path, archive: Path) -> None:
        super().__init__(folder)
        self._archive = archive

    def java(self, main: str, *arguments: str, options: tuple[str, ...] = ()) -> list[str]:
        written = (f"-XX:ArchiveClassesAtExit={self._archive}",) if main == "kafka.Kafka" else ()
        return super().java(main, *arguments, options=(*options, *written))


def brokers_of(address: str) -> int:
    """How many brokers the one at `address` says are alive; 0 when it does not answer."""
    try:
        return len(_admin(address).list_topics(timeout=1).brokers)
    except KafkaException:
        return 0


def _admin(address: str) -> AdminClient:
    # Without log_level librdkafka prints every refused connection.
    return AdminClient({"bootstrap.servers": address, "log_level": 0, "reconnect.backoff.max.ms": 200})
