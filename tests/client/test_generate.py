"""The generator keeps its rate on a clock of the test's, and `tailrace generate` against a real server."""

from __future__ import annotations

import threading
import uuid

import pyarrow as pa
import pytest
from click.testing import CliRunner
from deploy.local.kafka import Kafka

from tailrace.broker.kafka import KafkaLog
from tailrace.broker.port import LogRecord
from tailrace.client.demo_generator import DemoGenerator
from tailrace.client.generate import generate
from tailrace.client.latencies import Latencies
from tailrace.config import IngestSettings, KafkaSettings, LogSettings
from tailrace.errors import RetryLater, SlowDown
from tailrace.model.batch import decode_batch
from tailrace.model.clock import system_clock_us
from tailrace.process.decode import decode
from tests.client.api_server import ApiServer, Request, api_server

START_US = 1_743_156_000_000_000


class Wheel(threading.Event):
    """A stop event whose waiting turns the clock, and which is set when the clock reaches its end."""

    def __init__(self, length_s: float) -> None:
        super().__init__()
        self.now_us = START_US
        self.end_us = START_US + int(length_s * 1e6)

    def clock(self) -> int:
        return self.now_us

    def pass_time(self, duration_s: float) -> None:
        self.now_us += max(int(duration_s * 1e6), 1)
        if self.now_us >= self.end_us:
            self.set()

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.pass_time(timeout)
        return self.is_set()


def times_of(batches: list[pa.RecordBatch]) -> list[int]:
    return [time for batch in batches for time in batch["timestamp"].cast(pa.int64()).to_pylist()]


@pytest.mark.parametrize(
    ("rate", "length_s", "bursts"), [(0.5, 30, False), (40, 30, True), (3_000, 5, False), (100_000, 1, False)]
)
def test_the_rate_is_kept(rate: float, length_s: int, bursts: bool) -> None:
    """The number of events is right to a few ticks; bursts change nothing over their period of thirty seconds."""
    wheel, batches = Wheel(length_s), list[pa.RecordBatch]()
    DemoGenerator(batches.append, rate, wheel.clock, wheel, bursts=bursts).run()
    assert sum(batch.num_rows for batch in batches) == pytest.approx(rate * length_s, abs=rate * 0.35 + 1)


def test_events_come_when_they_are_due_and_in_order() -> None:
    """No batch holds an event of the future, none is older than a tick, and none comes twice."""
    wheel, late_us, batches = Wheel(10), list[int](), list[pa.RecordBatch]()

    def append(batch: pa.RecordBatch) -> None:
        batches.append(batch)
        late_us.extend(wheel.now_us - time for time in times_of([batch]))

    DemoGenerator(append, 500, wheel.clock, wheel).run()
    assert min(late_us) >= 0
    assert max(late_us) <= 110_000
    assert times_of(batches) == sorted(times_of(batches))


def test_bursts_are_three_times_the_calm_and_more() -> None:
    """Three seconds of thirty hold almost a third of the events."""
    wheel, batches = Wheel(30), list[pa.RecordBatch]()
    DemoGenerator(batches.append, 500, wheel.clock, wheel).run()
    times = times_of(batches)
    in_burst = sum(time % 30_000_000 < 3_000_000 for time in times)
    assert in_burst / len(times) == pytest.approx(0.3, abs=0.02)


def test_a_busy_place_gets_the_same_batch_again() -> None:
    """After `SlowDown` and `RetryLater` it waits as long as they say; nothing is left out and nothing doubled."""
    wheel, taken, refused_at_us = Wheel(10), list[pa.RecordBatch](), list[int]()

    def append(batch: pa.RecordBatch) -> None:
        if len(refused_at_us) < 2:
            refused_at_us.append(wheel.now_us)
            raise (SlowDown("busy") if len(refused_at_us) == 1 else RetryLater("away", retry_after_s=1))
        taken.append(batch)

    generator = DemoGenerator(append, 100, wheel.clock, wheel, bursts=False)
    generator.run()
    assert refused_at_us[1] - refused_at_us[0] == 1_000_000
    figures = generator.take_figures()
    assert figures.left_out == 0
    assert figures.events == len(times_of(taken)) == pytest.approx(1_000, abs=20)


def test_a_place_that_is_too_slow_costs_events_and_they_are_counted() -> None:
    """Appends of five seconds each: it goes on from now, and says how many events it left out."""
    wheel = Wheel(100)
    generator = DemoGenerator(lambda _: wheel.pass_time(5), 100, wheel.clock, wheel, bursts=False)
    generator.run()
    figures = generator.take_figures()
    assert figures.left_out > 5_000
    assert figures.events + figures.left_out == pytest.approx(10_000, abs=700)


def test_at_full_speed_batches_are_large() -> None:
    """Without a rate, each append is as large as is good for columns."""
    wheel, rows = Wheel(1), list[int]()

    def append(batch: pa.RecordBatch) -> None:
        rows.append(batch.num_rows)
        wheel.pass_time(0.4)

    DemoGenerator(append, None, wheel.clock, wheel).run()
    assert rows == [65_536] * 3


def test_percentiles_are_right_to_one_percent() -> None:
    """Of the durations 1 to 1000 ms."""
    latencies = Latencies()
    for milliseconds in range(1, 1001):
        latencies.add(milliseconds / 1000)
    assert latencies.percentile_s(50) == pytest.approx(0.5, rel=0.01)
    assert latencies.percentile_s(99) == pytest.approx(0.99, rel=0.01)
    assert latencies.percentile_s(100) == latencies.max_s == 1.0
    assert Latencies().line(50) == "p50 0 ms  max 0 ms"


@pytest.mark.parametrize("body_format", ["arrow", "ndjson"])
def test_the_command_sends_and_sums_up(body_format: str) -> None:
    """Half a second at two thousand a second arrives in the format asked for; a 429 in between costs nothing."""
    with api_server() as server:
        refusals = iter([True])

        def take(request: Request) -> None:
            if next(refusals, False):
                request.answer(429, b"{}", {"Retry-After": "0"})
            else:
                server.posted.append(request.body)
                request.answer(202, b"{}")

        server.routes["POST /logs"] = take
        arguments = ["--rate", "2k", "--for", "500ms", "--no-bursts", "--format", body_format, "--to", server.url]
        done = CliRunner().invoke(generate, arguments, catch_exceptions=False)
        assert done.exit_code == 0
        sent = [
            decode_batch(body).num_rows if body_format == "arrow" else body.count(b"\n") for body in server.posted
        ]
        assert sum(sent) > 0
        assert done.output.startswith(f"{sum(sent):,} events in ")


@pytest.mark.parametrize("body_format", ["arrow", "ndjson"])
def test_the_command_fills_a_kafka_topic(kafka: Kafka, body_format: str) -> None:
    """Arrow batches, or one JSON document a message; what it sums up is what a reader of the topic decodes."""
    topic = f"generate-{uuid.uuid4().hex}"
    settings = KafkaSettings(partitions=2)
    log = KafkaLog(kafka.url(topic), kafka=settings, log=LogSettings(), groups=(), clock=system_clock_us)
    arguments = ["--rate", "20k", "--for", "500ms", "--no-bursts", "--format", body_format, "--to", kafka.url(topic)]
    done = CliRunner().invoke(generate, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    sent = int(done.output.split(" events")[0].replace(",", ""))
    assert sent > 0
    reader, found = log.follower(), 0
    while found < sent:
        items = reader.poll(bytes_max=1 << 20, timeout_s=30)
        assert items, f"{found} of {sent} came"
        for item in items:
            assert isinstance(item, LogRecord) == (body_format == "arrow")
            events = decode(item, limits=IngestSettings(), now_us=system_clock_us()).events
            found += 0 if events is None else events.num_rows
    assert found == sent
    reader.close()
    log.close()


def test_the_command_says_at_once_that_there_is_no_such_topic(kafka: Kafka) -> None:
    """And what to do about it; the generator makes none."""
    done = CliRunner().invoke(generate, ["--to", kafka.url("nowhere")])
    assert done.exit_code == 1
    assert "there is no topic nowhere" in done.output


def test_the_command_says_at_once_that_nothing_listens() -> None:
    """Not after a minute of retries."""
    server = ApiServer()
    server.stop()
    done = CliRunner().invoke(generate, ["--to", server.url])
    assert done.exit_code == 1
    assert "nothing listens" in done.output


def test_the_command_says_what_is_wrong_with_the_url_of_a_topic() -> None:
    """With the form that is right."""
    done = CliRunner().invoke(generate, ["--to", "kafka://localhost/logs"])
    assert done.exit_code == 1
    assert "is not HOST:PORT" in done.output


@pytest.mark.parametrize("wrong", [["--rate", "fast"], ["--rate", "0"], ["--for", "-1"], ["--for", "3 weeks"]])
def test_wrong_rates_and_times_are_refused(wrong: list[str]) -> None:
    """With the forms that are right."""
    done = CliRunner().invoke(generate, wrong)
    assert done.exit_code == 2
    assert "such as" in done.output
