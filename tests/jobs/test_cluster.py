"""The command, as a program of its own, on a real cluster of Spark's; and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy.local.kafka import Kafka

from tests.jobs.conftest import QUICK_START
from tests.jobs.rig import Topic, events_in, lines, reached, wait_until
from tests.jobs.standalone import Master, Worker

pytestmark = pytest.mark.slow


PROPERTIES = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "512m",
    "spark.executor.memory": "512m",
    "spark.driver.extraJavaOptions": QUICK_START,
    "spark.executor.extraJavaOptions": QUICK_START,
}


@pytest.fixture
def master(spark_jars: str, tmp_path: Path) -> Iterator[Master]:
    with Master(tmp_path / "master") as master, Worker(tmp_path / "worker", master):
        yield master


def test_a_driver_that_is_killed_has_stored_each_event_once(
    kafka: Kafka, master: Master, spark_jars: str, tmp_path: Path
) -> None:
    """kill -9 after some commits, on a cluster of a master and a worker; the next run stores the rest."""
    topic = Topic(kafka)
    settings = topic.settings(tmp_path)
    lake_url = f"file://{tmp_path}/lake"
    topic.fill(lines(1000))
    command = [sys.executable, "-m", "tailrace", "spark", "stream", "--once", "--master", master.url]
    command += ["--jars", spark_jars, "--log", topic.url, "--lake", lake_url, "--data", str(tmp_path / "data")]
    for name in (
        "driver.host=127.0.0.1",
        "driver.bindAddress=127.0.0.1",
        "executor.memory=512m",
        "driver.memory=512m",
    ):
        command += ["--conf", f"spark.{name}"]

    with (tmp_path / "first.output").open("wb") as output:
        # So small batches that it cannot be done before it is seen to have begun.
        first = subprocess.Popen([*command, "--batch-bytes", "10000"], stdout=output, stderr=output)
    try:
        wait_until(lambda: first.poll() is not None or has_committed(tmp_path / "lake"), timeout_s=180)
        assert first.poll() is None, (tmp_path / "first.output").read_text()
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    stored = len(events_in(lake_url, settings))
    assert 0 < stored < topic.events

    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{topic.events - stored:,} events stored")
    assert len(events_in(lake_url, settings)) == topic.events
    assert reached(lake_url, settings) == topic.ends


def has_committed(lake: Path) -> bool:
    """Whether there is a commit behind the one that made the table."""
    return len(list((lake / "_delta_log").glob("*.json"))) > 1
