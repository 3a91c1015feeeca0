"""The log on Kafka while brokers die, disks lie and credentials are asked for."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from deploy.local.kafka import Kafka, KafkaCluster
from deploy.local.process import HOST, free_port

from tailrace.broker.kafka import KafkaLog
from tailrace.broker.kafka_topic import Topic
from tailrace.broker.kafka_writer import Writer
from tailrace.broker.port import DAMAGED, LogReader, LogRecord, Record
from tailrace.config import KafkaSettings, LogSettings
from tailrace.errors import RetryLater
from tailrace.model.clock import system_clock_us
from tests.contracts.test_log import append, read, record
from tests.real_servers import serve

TIMEOUT_S = 120


def open_log(
    url: str, *, partitions: int = 1, replication: int = 1, options: Mapping[str, str] | None = None
) -> KafkaLog:
    settings = KafkaSettings(partitions=partitions, replication=replication, options=dict(options or {}))
    return KafkaLog(url, kafka=settings, log=LogSettings(), groups=("g",), clock=system_clock_us)


class Load:
    """Appends numbered records one after the other, each until it is acknowledged."""

    def __init__(self, log: KafkaLog) -> None:
        self.acknowledged: dict[tuple[int, int], bytes] = {}
        self.refused = 0
        self._log = log
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._stopping.wait(0.005):
            payload = str(number).encode()
            try:
                ((partition, offset),) = append(self._log, record(payload))
            except RetryLater:
                self.refused += 1
                continue
            self.acknowledged[partition, offset] = payload
            number += 1

    def wait_for(self, holds: Callable[[], bool]) -> None:
        until_s = time.monotonic() + TIMEOUT_S
        while not holds():
            assert time.monotonic() < until_s
            assert self._thread.is_alive()
            time.sleep(0.02)

    def wait_for_more(self, count: int) -> None:
        before = len(self.acknowledged)
        self.wait_for(lambda: len(self.acknowledged) >= before + count)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(TIMEOUT_S)


def until_fails(call: Callable[[], object]) -> None:
    until_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < until_s:
        call()


def read_all(reader: LogReader, wanted: dict[tuple[int, int], bytes]) -> list[LogRecord]:
    """Until everything that was acknowledged came."""
    found: list[LogRecord] = []
    missing = set(wanted)
    until_s = time.monotonic() + TIMEOUT_S
    while missing and time.monotonic() < until_s:
        for item in reader.poll(bytes_max=1 << 20, timeout_s=1):
            assert isinstance(item, LogRecord)
            missing.discard((item.partition, item.offset))
            found.append(item)
    assert not missing
    return found


def append_patiently(log: KafkaLog, one: Record) -> list[tuple[int, int]]:
    """A broker that was just started may take longer to give a producer its number than a message may wait."""
    until_s = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return append(log, one)
        except RetryLater:
            if time.monotonic() > until_s:
                raise


def test_a_broker_that_is_killed_and_comes_back_loses_nothing(own_kafka: Kafka) -> None:
    """Appends, polls, commits and figures ask to be tried again meanwhile, and all go on by themselves."""
    log = open_log(own_kafka.url(), options={"message.timeout.ms": "1500"})
    reader = log.reader("g")
    (place,) = append_patiently(log, record("first"))
    read(reader, 1)
    load = Load(log)
    load.wait_for_more(20)
    own_kafka.kill()
    load.wait_for(lambda: load.refused >= 1)
    with pytest.raises(RetryLater):
        until_fails(lambda: reader.poll(bytes_max=1 << 20, timeout_s=0.1))
    with pytest.raises(RetryLater):
        until_fails(log.figures)
    own_kafka.start()
    load.wait_for_more(20)
    load.stop()
    seen: set[tuple[int, int]] = set()
    until_s = time.monotonic() + TIMEOUT_S
    while not seen.issuperset(load.acknowledged) and time.monotonic() < until_s:
        try:
            polled = reader.poll(bytes_max=1 << 20, timeout_s=0.1)
        except RetryLater:
            continue
        for item in polled:
            assert isinstance(item, LogRecord)
            assert load.acknowledged.get((0, item.offset), item.record.payload) == item.record.payload
            seen.add((0, item.offset))
    everything = read_all(log.follower(), load.acknowledged)
    assert {(0, item.offset): item.record.payload for item in everything}.items() >= load.acknowledged.items()
    end = place[1] + len(everything)
    while True:
        try:
            reader.commit({0: end})
            break
        except RetryLater:
            continue
    reader.close()
    log.close()


def test_a_leader_that_is_killed_costs_no_record_and_doubles_none(own_kafka_cluster: KafkaCluster) -> None:
    """Of three brokers with two replicas in sync: the idempotent producer goes on with the new leader."""
    log = open_log(own_kafka_cluster.url(), partitions=3, replication=3)
    load = Load(log)
    load.wait_for_more(50)
    own_kafka_cluster.brokers[0].kill()
    load.wait_for_more(200)
    load.stop()
    found = read_all(log.follower(), load.acknowledged)
    payloads = [item.record.payload for item in found]
    if not load.refused:
        assert len(payloads) == len(set(payloads))
    assert {(item.partition, item.offset): item.record.payload for item in found}.items() >= load.acknowledged.items()
    log.close()


def test_a_batch_that_the_disk_has_damaged_is_handed_out_as_damaged(own_kafka: Kafka) -> None:
    """With its place and the reason, for the dead letters; the records around it are read."""
    log = open_log(own_kafka.url())
    append(log, record("before"))
    append(log, record("x" * 5000))
    append(log, record("behind"))
    log.close()
    own_kafka.stop()
    segment = next((own_kafka.folder / "data" / "logs-0").glob("*.log"))
    data = segment.read_bytes()
    segment.write_bytes(data.replace(b"x" * 5000, b"x" * 4000 + b"y" * 1000))
    own_kafka.start()
    again = open_log(own_kafka.url())
    before, damaged, behind = read(again.follower(), 3)
    assert [before.record.payload, behind.record.payload] == [b"before", b"behind"]
    assert (damaged.offset, damaged.record.payload) == (1, b"")
    assert "log record 0-1: " in damaged.record.headers[DAMAGED]
    again.close()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[Kafka, str, Path]]:
    """A broker, its address for TLS with a password, and the file of the authority that signed its certificate."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    store = tmp_path / "store.pem"
    store.write_text(key.read_text() + certificate.read_text())
    address = f"{HOST}:{free_port()}"
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule required user_tailrace='secret';".replace(
        "'", '"'
    )
    broker = Kafka(tmp_path / "kafka")
    broker.settings = {
        "listeners": f"{broker.properties()['listeners']},SASL_SSL://{address}",
        "advertised.listeners": f"{broker.properties()['advertised.listeners']},SASL_SSL://{address}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(store),
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": plain,
    }
    for started in serve(broker):
        yield started, address, certificate


@pytest.mark.slow
def test_tls_and_a_password_are_handed_to_the_client(
    guarded: tuple[Kafka, str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kafka.options` opens a guarded cluster for all that the log does; with a wrong password it stays away."""
    _, address, certificate = guarded
    url = f"kafka://{address}/logs"
    options = {
        "security.protocol": "sasl_ssl",
        "ssl.ca.location": str(certificate),
        "sasl.mechanism": "PLAIN",
        "sasl.username": "tailrace",
        "sasl.password": "secret",
    }
    log = open_log(url, options=options)
    append(log, record("guarded"))
    reader = log.reader("g")
    assert [item.record.payload for item in read(reader, 1)] == [b"guarded"]
    reader.commit({0: 1})
    assert log.figures().lag_records == {"g": 0}
    reader.close()
    log.close()
    monkeypatch.setattr("tailrace.broker.kafka._START_S", 1.0)
    with pytest.raises(RetryLater):
        open_log(url, options={**options, "sasl.password": "guess"})


class Poisoned:
    """A producer that met a fatal error: a real one cannot be brought to it from here."""

    def __init__(self, on_error: Callable[[KafkaError], None]) -> None:
        self._on_error = on_error
        self._told: list[Callable[[KafkaError, Any], None]] = []

    def produce(self, *_: object, on_delivery: Callable[[KafkaError, Any], None], **__: object) -> None:
        self._told.append(on_delivery)
        if len(self._told) > 1:
            raise KafkaException(KafkaError(KafkaError._FATAL, "fenced", fatal=True))

    def poll(self, timeout_s: float) -> None:
        if self._told:
            self._on_error(KafkaError(KafkaError._FATAL, "fenced", fatal=True))
        time.sleep(0.01)

    def purge(self) -> None:
        pass

    def flush(self, timeout_s: float) -> None:
        told, self._told = self._told, []
        for each in told:
            each(KafkaError(KafkaError._PURGE_QUEUE), None)


class Working:
    """A producer that acknowledges everything at the next poll."""

    def __init__(self) -> None:
        self._told: list[Callable[[None, Any], None]] = []

    def produce(self, *_: object, on_delivery: Callable[[None, Any], None], **__: object) -> None:
        self._told.append(on_delivery)

    def poll(self, timeout_s: float) -> None:
        told, self._told = self._told, []
        for each in told:
            each(None, self)
        time.sleep(0.01)

    def offset(self) -> int:
        return 7


def test_a_producer_that_met_a_fatal_error_is_made_anew() -> None:
    """What it held asks to be tried again; the next append works."""
    made: list[object] = []

    def make(on_error: Callable[[KafkaError], None]) -> Any:
        made.append(Working() if made else Poisoned(on_error))
        return made[-1]

    writer = Writer(Topic("t", 1, 1 << 20), make, queue_bytes_max=1000, clock=system_clock_us, metrics=None)
    with pytest.raises(RetryLater, match="could not be written"):
        writer.append([Record("x", b"1", 1)]).result(timeout=30)
    until_s = time.monotonic() + 30
    while len(made) < 2 and time.monotonic() < until_s:
        time.sleep(0.01)
    assert writer.append([Record("x", b"2", 1)]).result(timeout=30) == [(0, 7)]
    assert len(made) == 2
    writer.close()
