from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from tailrace.broker.port import Assignments, LogFigures, LogReader, LogRecord, Record
from tailrace.broker.sqlite import SqliteLog
from tailrace.config import IngestSettings, LogSettings
from tailrace.errors import BadInput, RetryLater, SlowDown, TooLarge, UnsupportedMedia
from tailrace.ingest import gathering, json_logs
from tailrace.ingest.gateway import Gateway
from tailrace.ingest.receipt import Receipt
from tailrace.model.batch import ARROW_STREAM, batch_of_rows, decode_batch, encode_batch
from tailrace.model.claim import CLAIM, ONLY_STORE, key_and_time
from tailrace.model.clock import system_clock_us
from tailrace.model.dead_letter import DEAD_LETTERS
from tailrace.ops.metrics import Metrics

JSON = "application/json"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    opened = SqliteLog(tmp_path / "log.db", settings=LogSettings(), clock=system_clock_us)
    yield opened
    opened.close()


@pytest.fixture
def gateway(log: SqliteLog) -> Iterator[Gateway]:
    opened = Gateway(log, settings=IngestSettings(), clock=system_clock_us, metrics=Metrics())
    yield opened
    opened.close()


def records(log: SqliteLog) -> list[LogRecord]:
    reader = log.reader("test")
    try:
        found = reader.poll(bytes_max=1 << 26, timeout_s=0.2)
        return [item for item in found if isinstance(item, LogRecord)]
    finally:
        reader.close()


def messages(log: SqliteLog) -> list[str]:
    return [
        message
        for item in records(log)
        if item.record.content_type == ARROW_STREAM
        for message in decode_batch(item.record.payload)["message"].to_pylist()
    ]


def letters(log: SqliteLog) -> list[dict[str, object]]:
    return [
        letter
        for item in records(log)
        if item.record.content_type == DEAD_LETTERS
        for letter in decode_batch(item.record.payload).to_pylist()
    ]


def accept(
    gateway: Gateway, body: bytes, content_type: str = JSON, encoding: str | None = None, key: str | None = None
) -> Receipt:
    return asyncio.run(
        gateway.accept(body, content_type=content_type, content_encoding=encoding, source="test", idempotency_key=key)
    )


def test_what_is_acknowledged_is_in_the_log(gateway: Gateway, log: SqliteLog) -> None:
    """The receipt counts the events, and the log holds them when it is given."""
    assert accept(gateway, b'[{"message":"a"},{"message":"b"}]') == Receipt(2, [])
    assert messages(log) == ["a", "b"]


def test_bad_lines_become_dead_letters_beside_the_good_ones(gateway: Gateway, log: SqliteLog) -> None:
    """One body, two records in one append; the letter has the raw bytes, the reason and the place."""
    receipt = accept(gateway, b'{"message":"a"}\nnonsense\n{"message":"b"}')
    assert receipt.accepted == 2
    assert [rejected.line for rejected in receipt.rejected] == [2]
    assert messages(log) == ["a", "b"]
    [letter] = letters(log)
    assert (letter["raw"], letter["line"], letter["source"]) == (b"nonsense", 2, "test")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "APPLICATION/X-NDJSON", "text/plain", ""]
)
def test_json_is_taken_under_the_types_that_clients_give_it(
    gateway: Gateway, log: SqliteLog, content_type: str
) -> None:
    """Parameters and case do not matter, and `curl -d` works without a header."""
    assert accept(gateway, b'{"message":"a"}', content_type).accepted == 1


def test_arrow_bodies_and_compressed_ones_are_taken(gateway: Gateway, log: SqliteLog) -> None:
    """Both go the same way."""
    batch = batch_of_rows([{"timestamp": 1, "observed_timestamp": 1, "message": "a"}])
    assert accept(gateway, encode_batch(batch), ARROW_STREAM).accepted == 1
    assert accept(gateway, gzip.compress(b'{"message":"b"}'), JSON, "gzip").accepted == 1
    assert messages(log) == ["a", "b"]


def test_another_content_type_is_refused_with_those_that_are_understood(gateway: Gateway) -> None:
    """415 says what to send instead."""
    with pytest.raises(UnsupportedMedia, match=r"image/png.*application/json"):
        accept(gateway, b"x", "image/png")


def test_a_compression_bomb_is_refused(log: SqliteLog) -> None:
    """The bound counts what comes out, and its setting is named."""
    small = Gateway(log, settings=IngestSettings(body_bytes_max=1000), clock=system_clock_us, metrics=Metrics())
    with pytest.raises(TooLarge, match=r"ingest\.body_bytes_max"):
        accept(small, gzip.compress(bytes(1_000_000)), JSON, "gzip")
    small.close()


def test_single_events_of_many_requests_share_records_of_the_log(gateway: Gateway, log: SqliteLog) -> None:
    """Two hundred concurrent requests each get their own answer from far fewer appends."""

    async def post_all() -> Sequence[Receipt]:
        bodies = [orjson.dumps({"message": f"m{number}"}) if number != 7 else b'{"message":' for number in range(200)]
        return await asyncio.gather(
            *(
                gateway.accept(body, content_type=JSON, content_encoding=None, source=f"client {number}")
                for number, body in enumerate(bodies)
            )
        )

    receipts = asyncio.run(post_all())
    assert [receipt.accepted for receipt in receipts] == [int(number != 7) for number in range(200)]
    assert [rejected.line for rejected in receipts[7].rejected] == [1]
    assert sorted(messages(log)) == sorted(f"m{number}" for number in range(200) if number != 7)
    [letter] = letters(log)
    assert (letter["source"], letter["line"], letter["raw"]) == ("client 7", 1, b'{"message":')
    assert len(records(log)) < 20


def post_together(gateway: Gateway, bodies: Sequence[bytes]) -> list[Receipt]:
    async def post() -> list[Receipt]:
        requests = [
            gateway.accept(body, content_type=JSON, content_encoding=None, source=f"client {number}")
            for number, body in enumerate(bodies)
        ]
        return await asyncio.gather(*requests)

    return asyncio.run(post())


def test_halves_of_an_event_from_two_clients_are_no_event(gateway: Gateway, log: SqliteLog) -> None:
    """Each is told that it sent no JSON, and has a dead letter."""
    receipts = post_together(gateway, [b'{"message":', b'{"message":"b"}}'])
    assert [(each.accepted, len(each.rejected)) for each in receipts] == [(0, 1), (0, 1)]
    assert [(letter["source"], letter["line"]) for letter in letters(log)] == [("client 0", 1), ("client 1", 1)]
    assert messages(log) == []


def test_two_events_on_one_line_are_counted_as_two(gateway: Gateway, log: SqliteLog) -> None:
    """Beside others or alone; who sent what is no event is told so, and nobody else."""
    two, bad, brace = b'{"message":"a"} {"message":"b"}', b'{"message":1,,}', b'{"message":"}{"}'
    receipts = post_together(gateway, [two, bad, brace])
    assert [(each.accepted, len(each.rejected)) for each in receipts] == [(2, 0), (0, 1), (1, 0)]
    assert sorted(messages(log)) == ["a", "b", "}{"]


def test_each_of_many_bad_events_is_told_so(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when they are more than a decoder names of one body."""
    for module in (gathering, json_logs):
        monkeypatch.setattr(module, "REJECTED_MAX", 3)
    receipts = post_together(gateway, [b"{"] * 10)
    assert [(each.accepted, len(each.rejected)) for each in receipts] == [(0, 1)] * 10


def test_an_event_written_over_several_lines_is_one_event(gateway: Gateway, log: SqliteLog) -> None:
    """Pretty-printed JSON, as people paste it."""
    assert accept(gateway, b'{\n  "message": "a",\n  "level": "INFO"\n}\n') == Receipt(1, [])


def test_the_bodies_in_flight_are_bounded(log: SqliteLog) -> None:
    """Past the bound a body is told to wait; room that was given back can be had again."""
    settings = IngestSettings(body_bytes_in_flight_max=100)
    gateway = Gateway(log, settings=settings, clock=system_clock_us, metrics=Metrics())
    with gateway.reservation() as first:
        first.add(60)
        with gateway.reservation() as second, pytest.raises(SlowDown, match="body_bytes_in_flight_max"):
            second.add(60)
    with gateway.reservation() as third:
        third.add(100)
    gateway.close()


class AwayLog:
    """A log that cannot be reached."""

    def append(self, records: Sequence[Record]) -> Future[list[tuple[int, int]]]:
        answer: Future[list[tuple[int, int]]] = Future()
        answer.set_exception(RetryLater("the disk is full"))
        return answer

    def reader(self, group: str, assignments: Assignments | None = None) -> LogReader:
        raise AssertionError

    def figures(self) -> LogFigures:
        raise AssertionError

    def close(self) -> None: ...


@pytest.mark.parametrize("body", [b'{"message":"a"}', b'{"message":"a"}\n{"message":"b"}'])
def test_nothing_is_acknowledged_while_the_log_is_away(body: bytes) -> None:
    """The error reaches every request, the gathered ones too."""
    gateway = Gateway(AwayLog(), settings=IngestSettings(), clock=system_clock_us, metrics=Metrics())
    for _ in range(2):
        with pytest.raises(RetryLater, match="the disk is full"):
            accept(gateway, body)
    gateway.close()


def replay(gateway: Gateway, raw: bytes, only_store: str | None = None) -> Receipt:
    return asyncio.run(gateway.replay(raw, content_type=JSON, letter_id="0-5-1", only_store=only_store))


def test_a_replayed_letter_is_appended_with_its_identity(gateway: Gateway, log: SqliteLog) -> None:
    """The worker recognises it by the header."""
    receipt = replay(gateway, b'{"message":"mended"}')
    assert receipt == Receipt(1, [])
    [item] = records(log)
    assert item.record.headers == {CLAIM: "letter/0-5-1"}


def test_a_letter_that_a_store_refused_is_appended_for_that_store(gateway: Gateway, log: SqliteLog) -> None:
    """The others leave the record out."""
    replay(gateway, b'{"message":"m"}', "es")
    [item] = records(log)
    assert item.record.headers == {CLAIM: "letter/0-5-1", ONLY_STORE: "es"}


def test_bodies_with_a_key_carry_its_claim(gateway: Gateway, log: SqliteLog) -> None:
    """Their events under the key, their rejected lines under another one; a repetition under the same ones."""
    for _ in range(2):
        receipt = accept(gateway, b'{"message":"a"}\nnonsense', key="order 7/#")
        assert (receipt.accepted, len(receipt.rejected)) == (1, 1)
    claims = [key_and_time(item.record.headers[CLAIM])[0] for item in records(log)]
    assert claims == ["key/order%207%2F%23", "key/order%207%2F%23/rejected"] * 2


def test_single_events_with_keys_are_records_of_their_own(gateway: Gateway, log: SqliteLog) -> None:
    """Gathered with others, those would be left out with a repetition."""

    async def post_all() -> Sequence[Receipt]:
        return await asyncio.gather(
            *(
                gateway.accept(
                    b'{"message":"a"}',
                    content_type=JSON,
                    content_encoding=None,
                    source="client",
                    idempotency_key=str(number // 2) if number < 6 else None,
                )
                for number in range(20)
            )
        )

    assert asyncio.run(post_all()) == [Receipt(1, [])] * 20
    keyed = [item.record for item in records(log) if CLAIM in item.record.headers]
    assert [record.rows for record in keyed] == [1] * 6
    assert len({key_and_time(record.headers[CLAIM])[0] for record in keyed}) == 3


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\t", "ä"])
def test_a_key_that_is_none_is_refused(gateway: Gateway, log: SqliteLog, key: str) -> None:
    """400 says what a key is; nothing is kept."""
    with pytest.raises(BadInput, match="1 to 255 printable characters"):
        accept(gateway, b'{"message":"a"}', key=key)
    assert records(log) == []


def test_a_letter_that_is_still_wrong_is_not_appended(gateway: Gateway, log: SqliteLog) -> None:
    """Neither its good lines nor another letter: it stays where it is."""
    receipt = replay(gateway, b'{"message":"a"}\nwrong')
    assert receipt.accepted == 0
    assert [rejected.line for rejected in receipt.rejected] == [2]
    assert records(log) == []


def test_events_travel_as_arrow(gateway: Gateway, log: SqliteLog) -> None:
    """What is in the log is a stream that any Arrow library reads."""
    accept(gateway, b'{"message":"a","level":"warning","x":{"y":1}}')
    [item] = records(log)
    with pa.ipc.open_stream(item.record.payload) as stream:
        [event] = stream.read_all().to_pylist()
    assert (event["message"], event["level"], event["attributes"]) == ("a", "WARN", [("x.y", "1")])
