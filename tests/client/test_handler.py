"""`TailraceHandler` against a real server that is slow, refuses, hangs, dies and comes back."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tailrace.handler import TailraceHandler
from tailrace.handler.courier import CourierThread
from tests.client.log_server import LogServer, Reply, log_server


@pytest.fixture
def server() -> Iterator[LogServer]:
    with log_server() as running:
        yield running


@contextmanager
def logger_to(url: str, **options: Any) -> Iterator[tuple[logging.Logger, TailraceHandler]]:
    """A logger of its own with a quick handler."""
    defaults: dict[str, Any] = {"service": "shop", "host": "web-1", "flush_interval_s": 0.01, "exit_timeout_s": 0.5}
    handler = TailraceHandler(url, **(defaults | options))
    logger = logging.Logger("app.orders")
    logger.addHandler(handler)
    try:
        yield logger, handler
    finally:
        handler.close()


def numbered(count: int, start: int = 0) -> Counter[str]:
    return Counter(f"event {number}" for number in range(start, start + count))


def log_numbered(logger: logging.Logger, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        logger.info("event %d", number)


def test_importing_it_costs_little() -> None:
    """Nothing but the standard library is loaded."""
    script = (
        "import sys; before = set(sys.modules); import tailrace.handler\n"
        "loaded = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(loaded - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['tailrace']"


def test_a_record_becomes_an_event_with_all_its_fields(server: LogServer) -> None:
    """Message, level, origin, `extra` and the time to the microsecond arrive under the names of `POST /logs`."""
    with logger_to(server.url) as (logger, handler):
        logger.warning("order %s took %d ms", "A-7", 250, extra={"user": {"id": 7}, "trace_id": "ab" * 16})
        assert handler.flush(10)
    (event,) = server.events
    assert event["timestamp"].endswith("Z")
    assert len(event["timestamp"]) == len("2025-03-28T10:00:00.000000Z")
    own = {name: event[name] for name in ("level", "service", "host", "message", "trace_id")}
    assert own == {
        "level": "WARN",
        "service": "shop",
        "host": "web-1",
        "message": "order A-7 took 250 ms",
        "trace_id": "ab" * 16,
    }
    attributes = event["attributes"]
    assert attributes["logger"] == "app.orders"
    assert attributes["function"] == "test_a_record_becomes_an_event_with_all_its_fields"
    assert attributes["user"] == {"id": 7}
    assert {"module", "line", "thread", "process"} <= set(attributes)
    assert server.headers[0]["Content-Type"] == "application/x-ndjson"


def test_an_exception_arrives_with_type_message_and_stack(server: LogServer) -> None:
    """`logger.exception` fills the three attributes OpenTelemetry names."""
    with logger_to(server.url) as (logger, handler):
        try:
            raise json.JSONDecodeError("no", "x", 0)
        except ValueError:
            logger.exception("cannot read")
        assert handler.flush(10)
    exception = server.events[0]["attributes"]["exception"]
    assert exception["type"] == "json.decoder.JSONDecodeError"
    assert exception["message"] == "no: line 1 column 1 (char 0)"
    assert exception["stacktrace"].startswith("Traceback (most recent call last)")


def test_arguments_are_read_when_the_record_is_logged(server: LogServer) -> None:
    """What an application does to its objects after logging them does not change the event."""
    items, where = ["a"], {"shelf": [1]}
    with logger_to(server.url, flush_interval_s=5) as (logger, handler):
        logger.info("items %s", items, extra={"where": where})
        items.append("b")
        where["shelf"].append(2)
        assert handler.flush(10)
    assert server.events[0]["message"] == "items ['a']"
    assert server.events[0]["attributes"]["where"] == {"shelf": [1]}


def test_events_travel_in_batches(server: LogServer) -> None:
    """A thousand events are a few requests, none larger than a batch."""
    sizes: list[int] = []

    def decide(events: list[dict[str, Any]]) -> Reply:
        sizes.append(len(events))
        return Reply()

    server.decide = decide
    with logger_to(server.url, batch_events_max=250, flush_interval_s=0.2) as (logger, handler):
        log_numbered(logger, 1_000)
        assert handler.flush(10)
    assert server.messages() == numbered(1_000)
    assert max(sizes) == 250
    assert len(sizes) < 20


@pytest.mark.slow
def test_a_server_that_answers_503_is_tried_again(server: LogServer) -> None:
    """Nothing is lost and nothing comes twice while the server refuses for a while."""
    replies = iter([Reply(503), Reply(500), Reply(429, headers={"Retry-After": "0"})])
    server.decide = lambda events: next(replies, Reply())
    with logger_to(server.url) as (logger, handler):
        log_numbered(logger, 500)
        server.wait_for(lambda it: len(it.events) == 500)
        assert handler.flush(10)
        assert handler.counters.sent == 500
        assert handler.counters.dropped == handler.counters.rejected == handler.counters.queued == 0
    assert server.messages() == numbered(500)


def test_a_named_retry_time_is_waited_for_even_by_flush(server: LogServer) -> None:
    """After `Retry-After: 60` the server is not asked again by a flush."""
    server.decide = lambda events: Reply(429, headers={"Retry-After": "60"})
    with logger_to(server.url, exit_timeout_s=0.01) as (logger, handler):
        logger.info("once")
        server.wait_for(lambda it: it.requests == 1)
        assert not handler.flush(0.1)
        assert not handler.flush(0.2)
        assert server.requests == 1
        assert handler.counters.queued == 1


def test_a_server_that_dies_and_comes_back_gets_everything(server: LogServer) -> None:
    """Without a spool events wait in memory until something listens again."""
    with logger_to(server.url) as (logger, handler):
        log_numbered(logger, 10)
        assert handler.flush(10)
        server.stop()
        log_numbered(logger, 10, start=10)
        assert not handler.flush(0.1)
        server.start_again()
        log_numbered(logger, 10, start=20)
        assert handler.flush(20)
    assert server.messages() == numbered(30)


def test_a_connection_closed_while_idle_is_no_outage(server: LogServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Servers close kept-alive connections; the next batch goes over a new one at once."""
    server.decide = lambda events: Reply(close=True)
    with logger_to(server.url) as (logger, handler):
        for number in range(5):
            log_numbered(logger, 1, start=number)
            assert handler.flush(10)
    assert server.messages() == numbered(5)
    assert capsys.readouterr().err == ""


def test_a_full_queue_drops_and_counts_and_does_not_wait(server: LogServer) -> None:
    """With a server that hangs, `emit` goes on returning: what the bound cannot hold is counted as dropped."""
    server.hang()
    with logger_to(server.url, queue_events_max=100, batch_events_max=10, exit_timeout_s=0.01) as (logger, handler):
        logger.info("in the hanging request")
        server.wait_for(lambda it: it.requests == 1)
        log_numbered(logger, 1_000)
        assert handler.counters.queued == 101
        assert handler.counters.dropped == 900
        server.resume()
        assert handler.flush(20)
        assert handler.counters.sent == 101
    assert server.messages() - Counter(["in the hanging request"]) == numbered(100)


def test_the_queue_is_bounded_in_bytes_too(server: LogServer) -> None:
    """A few huge messages fill the queue before their number does."""
    server.hang()
    with logger_to(server.url, queue_bytes_max=100_000, exit_timeout_s=0.01) as (logger, handler):
        logger.info("in the hanging request")
        server.wait_for(lambda it: it.requests == 1)
        for _ in range(10):
            logger.info("x" * 30_000)
        assert handler.counters.queued == 4
        assert handler.counters.dropped == 7
        server.resume()


def test_a_body_refused_for_good_is_counted_and_told_once(
    server: LogServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """400 means that sending it again is pointless: rejected, not retried, one line on standard error."""
    server.decide = lambda events: Reply(400, b'{"detail":"no"}')
    with logger_to(server.url) as (logger, handler):
        for number in range(3):
            log_numbered(logger, 1, start=number)
            assert handler.flush(10)
        assert handler.counters.rejected == server.requests == 3
        assert handler.counters.sent == 0
    assert capsys.readouterr().err.count("refused") == 1


def test_lines_that_the_server_rejects_are_counted(server: LogServer) -> None:
    """A partial answer splits a batch into sent and rejected."""
    server.decide = lambda events: Reply(202, json.dumps({"accepted": len(events) - 1, "rejected": 1}).encode())
    with logger_to(server.url, flush_interval_s=0.2) as (logger, handler):
        log_numbered(logger, 10)
        assert handler.flush(10)
        assert (handler.counters.sent, handler.counters.rejected) == (10 - server.requests, server.requests)


def test_a_body_that_is_too_large_is_sent_in_halves(server: LogServer) -> None:
    """A proxy's limit of seven events a body costs no event but the one it can never take."""
    server.decide = lambda events: Reply(
        413 if len(events) > 7 or any(event["message"] == "huge" for event in events) else 202
    )
    with logger_to(server.url, flush_interval_s=5) as (logger, handler):
        log_numbered(logger, 60)
        logger.info("huge")
        log_numbered(logger, 40, start=60)
        assert handler.flush(10)
        assert (handler.counters.sent, handler.counters.rejected) == (100, 1)
    assert server.messages() == numbered(100)


def test_a_str_that_fails_does_not_reach_the_application(server: LogServer) -> None:
    """Neither a wrong format string nor a broken `__repr__` raises, and the first still gives an event."""

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("broken")

    with logger_to(server.url) as (logger, handler):
        logger.info("one %d", "two")
        logger.info("three", extra={"broken": Broken()})
        logging.raiseExceptions = False
        try:
            logger.info("%s", Broken())
        finally:
            logging.raiseExceptions = True
        assert handler.flush(10)
        assert handler.counters.dropped == 1
    assert [event["message"] for event in server.events] == ["one %d ('two',)", "three"]
    assert "RuntimeError" in server.events[1]["attributes"]["broken"]


def test_what_its_own_threads_log_is_not_sent(server: LogServer) -> None:
    """Otherwise an HTTP library that logs would feed the handler for ever."""
    with logger_to(server.url) as (logger, handler):
        thread = CourierThread(target=logger.info, args=("from inside",))
        thread.start()
        thread.join()
        logger.info("from outside")
        assert handler.flush(10)
    assert list(server.messages()) == ["from outside"]


def test_many_threads_lose_nothing(server: LogServer) -> None:
    """Eight threads that log at once: each event arrives exactly once."""
    with logger_to(server.url, batch_events_max=100) as (logger, handler):
        threads = [threading.Thread(target=log_numbered, args=(logger, 500, 500 * each)) for each in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert handler.flush(20)
    assert server.messages() == numbered(4_000)


def test_after_close_records_are_counted_as_dropped(server: LogServer) -> None:
    """A closed handler takes nothing, says so in its counters, and may be closed again."""
    with logger_to(server.url) as (logger, handler):
        logger.info("before")
        handler.close()
        logger.info("after")
        handler.close()
        assert handler.flush()
        assert handler.counters.dropped == 1
    assert list(server.messages()) == ["before"]


def test_a_filter_and_a_formatter_are_respected(server: LogServer) -> None:
    """Filters and levels work as on any handler; a formatter does when it is more than a layout of fields."""

    class Angled(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return f"<{record.getMessage()}>"

    with logger_to(server.url, level="INFO") as (logger, handler):
        handler.addFilter(lambda record: "secret" not in record.getMessage())
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.debug("too low")
        logger.info("secret")
        logger.info("plain")
        handler.setFormatter(Angled())
        logger.info("angled")
        assert handler.flush(10)
    assert list(server.messages()) == ["plain", "<angled>"]


@pytest.mark.parametrize(
    "options", [{"url": "ftp://x"}, {"url": "127.0.0.1:8001"}, {"queue_events_max": 0}, {"flush_interval_s": -1}]
)
def test_wrong_options_are_refused_when_it_is_made(options: dict[str, Any]) -> None:
    """A mistake is told to the programmer, not to the log at night."""
    with pytest.raises(ValueError, match=r"not an address|more than 0"):
        TailraceHandler(**options)


def test_a_hanging_server_fills_the_spool_and_gets_it_later(server: LogServer, tmp_path: Path) -> None:
    """Past half a queue, batches go to disk while one request hangs; nothing is dropped, and all of it arrives."""
    server.hang()
    with logger_to(server.url, queue_events_max=200, batch_events_max=20, spool_folder=tmp_path) as (logger, handler):
        logger.info("event 0")
        server.wait_for(lambda it: it.requests == 1)
        for start in range(1, 2_000, 50):
            log_numbered(logger, 50, start=start)
            _until(lambda: handler.counters.queued < 150)
        assert handler.counters.spooled > 1_000
        assert handler.counters.dropped == 0
        server.resume()
        server.wait_for(lambda it: len(it.events) == 2_001)
    assert server.messages() == numbered(2_001)
    assert not list(tmp_path.glob("*.ndjson"))


def test_with_a_spool_flush_is_done_while_the_server_is_away(server: LogServer, tmp_path: Path) -> None:
    """Durable in the spool is safe enough to let the application end; the server gets it when it is back."""
    server.stop()
    with logger_to(server.url, spool_folder=tmp_path) as (logger, handler):
        log_numbered(logger, 300)
        assert handler.flush(10)
        assert handler.counters.spooled == 300
        server.start_again()
        server.wait_for(lambda it: len(it.events) == 300)
    assert server.messages() == numbered(300)


def test_a_full_spool_holds_its_bound_and_drops_are_counted(server: LogServer, tmp_path: Path) -> None:
    """Disk and memory are both bounded: every event is queued, spooled or counted as dropped, and none vanishes."""
    server.stop()
    bound = 20_000
    with logger_to(
        server.url,
        spool_folder=tmp_path,
        spool_bytes_max=bound,
        queue_events_max=100,
        batch_events_max=10,
        exit_timeout_s=0.1,
    ) as (logger, handler):
        for start in range(0, 1_000, 10):
            log_numbered(logger, 10, start=start)
            handler.flush(0.001)
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= bound
        counters = handler.counters
        assert 0 < counters.spooled < 1_000
        assert counters.spooled + counters.queued + counters.dropped == 1_000
        assert counters.dropped > 0


def _until(holds: Any) -> None:
    tick = threading.Event()
    for _ in range(2_000):
        if holds():
            return
        tick.wait(0.005)
    raise AssertionError("it never became true")
