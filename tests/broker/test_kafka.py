"""What the log on Kafka does beyond the contract of all logs: topics, groups, encodings of others."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from deploy.local.kafka import Kafka
from deploy.local.process import free_port

from tailrace.broker import kafka as kafka_module
from tailrace.broker.kafka import KafkaLog
from tailrace.broker.port import LogLines, LogReader, LogRecord, Record
from tailrace.config import IngestSettings, KafkaSettings, LogSettings
from tailrace.errors import RetryLater, Stop, TooLarge
from tailrace.model.batch import ARROW_STREAM, batch_of_rows, decode_batch, encode_batch, join_batches
from tailrace.model.clock import system_clock_us
from tailrace.process.decode import decode
from tests.contracts.test_log import Recorder, append, read, record

Open = Callable[..., KafkaLog]


def new_topic() -> str:
    return f"t-{uuid.uuid4().hex}"


@pytest.fixture
def open_log(kafka: Kafka) -> Iterator[Open]:
    """Opens the log on a topic of the shared broker, and closes it in the end."""
    opened: list[KafkaLog] = []

    def open_topic(topic: str, *, partitions: int = 1, **options: str) -> KafkaLog:
        settings = KafkaSettings(partitions=partitions, options={k.replace("_", "."): v for k, v in options.items()})
        opened.append(
            KafkaLog(kafka.url(topic), kafka=settings, log=LogSettings(), groups=("g",), clock=system_clock_us)
        )
        return opened[-1]

    yield open_topic
    for log in opened:
        log.close()


def make_topic(kafka: Kafka, topic: str, partitions: int = 1, **config: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.address})
    named = {name.replace("_", "."): value for name, value in config.items()}
    admin.create_topics([NewTopic(topic, partitions, 1, config=named)])[topic].result()


def config_of(kafka: Kafka, topic: str) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = AdminClient({"bootstrap.servers": kafka.address})
    found = admin.describe_configs([resource])[resource].result()
    return {name: entry.value for name, entry in found.items()}


def delete_topic(kafka: Kafka, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.address})
    admin.delete_topics([topic])[topic].result()


def events_of(reader: LogReader, count: int) -> list[tuple[str, int, int]]:
    """Message, offset and row of that many events, decoded as the worker does."""
    found: list[tuple[str, int, int]] = []
    while len(found) < count:
        items = reader.poll(bytes_max=1 << 20, timeout_s=30)
        assert items, f"{len(found)} of {count} came"
        for item in items:
            decoded = decode(item, limits=IngestSettings(), now_us=system_clock_us())
            assert decoded.letters is None
            assert decoded.events is not None
            rows = decoded.events.select(["message", "log_offset", "log_row"]).to_pylist()
            found += [tuple(row.values()) for row in rows]
    return found


# The topic.


def test_the_topic_is_made_with_the_wished_partitions_and_room_for_large_messages(
    kafka: Kafka, open_log: Open
) -> None:
    """And appends go to all of its partitions, each append to one."""
    topic = new_topic()
    log = open_log(topic, partitions=4)
    assert config_of(kafka, topic)["max.message.bytes"] == str(32 << 20)
    places = [append(log, record("a"), record("b")) for _ in range(8)]
    assert all(first[0] == second[0] for first, second in places)
    assert {first[0] for first, _ in places} == {0, 1, 2, 3}


def test_a_topic_that_is_there_is_taken_as_it_is(
    kafka: Kafka, open_log: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """Fewer partitions than wished for are worth a warning that says what they mean."""
    topic = new_topic()
    make_topic(kafka, topic, partitions=2)
    with caplog.at_level(logging.WARNING):
        log = open_log(topic, partitions=6)
    assert "has 2 partitions, and kafka.partitions wishes for 6" in caplog.text
    assert {append(log, record("x"))[0][0] for _ in range(4)} == {0, 1}


def test_a_compacted_topic_is_refused(kafka: Kafka, open_log: Open) -> None:
    """It would drop events in silence."""
    topic = new_topic()
    make_topic(kafka, topic, cleanup_policy="compact")
    with pytest.raises(Stop, match="is compacted, which drops events"):
        open_log(topic)


def test_more_replicas_than_brokers_are_said_to_be_too_many(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers may still be starting, so that it is tried again for a while."""
    monkeypatch.setattr(kafka_module, "_START_S", 0.5)
    settings = KafkaSettings(replication=3)
    with pytest.raises(RetryLater, match=r"cannot hold 3 replicas \(kafka.replication\)"):
        KafkaLog(kafka.url(new_topic()), kafka=settings, log=LogSettings(), groups=(), clock=system_clock_us)


def test_a_cluster_that_is_away_at_the_start_is_one_to_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known to be wrong."""
    monkeypatch.setattr(kafka_module, "_START_S", 0.5)
    url = f"kafka://127.0.0.1:{free_port()}/logs"
    with pytest.raises(RetryLater, match="Kafka topic logs"):
        KafkaLog(url, kafka=KafkaSettings(), log=LogSettings(), groups=(), clock=system_clock_us)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"no.such.thing": "1"}, 'No such configuration property: "no.such.thing"'),
        ({"security.protocol": "carrier_pigeon"}, 'Invalid value "carrier_pigeon" for .*"security.protocol"'),
        ({"security.protocol": "ssl", "ssl.ca.location": "/no/such/file"}, "ssl.ca.location"),
        ({"socket.timeout.ms": "soon"}, "socket.timeout.ms"),
        ({"acks": "0"}, "acks is set by Tailrace"),
        ({"enable.auto.commit": "true"}, "enable.auto.commit is set by Tailrace"),
    ],
)
def test_a_wrong_option_stops_with_its_name(options: dict[str, str], what: str) -> None:
    """Before any broker is asked; those that carry a promise are not to be changed."""
    settings = KafkaSettings(options=options)
    with pytest.raises(Stop, match=rf"kafka\.options: .*{what}"):
        KafkaLog("kafka://127.0.0.1:1/logs", kafka=settings, log=LogSettings(), groups=(), clock=system_clock_us)


# Sizes.


def test_a_record_larger_than_a_message_is_split_by_rows(kafka: Kafka, open_log: Open) -> None:
    """All of its events are there, in order, in parts that the topic takes; records beside it are whole."""
    topic = new_topic()
    make_topic(kafka, topic, max_message_bytes="20000")
    log = open_log(topic)
    rows = [{"timestamp": i, "observed_timestamp": 0, "message": uuid.uuid4().hex * 3} for i in range(2000)]
    batch = batch_of_rows(rows)
    large = Record(ARROW_STREAM, encode_batch(batch), batch.num_rows, {"a": "b"})
    places = append(log, record("before"), large, record("behind"))
    before, *parts, behind = read(log.follower(), 2 + 8)
    assert [before.offset, parts[0].offset, behind.offset] == [offset for _, offset in places]
    assert all(part.record.headers == {"a": "b"} for part in parts)
    whole = join_batches([decode_batch(part.record.payload) for part in parts], batch.schema)
    assert whole.equals(batch)


def test_a_record_that_cannot_be_split_is_refused(kafka: Kafka, open_log: Open) -> None:
    """With the property that makes room; the log goes on."""
    topic = new_topic()
    make_topic(kafka, topic, max_message_bytes="20000")
    log = open_log(topic)
    with pytest.raises(TooLarge, match=r"max\.message\.bytes"):
        append(log, record(b"x" * 30_000))
    append(log, record(b"x" * 15_000))


def test_a_topic_that_takes_less_than_it_told_refuses_and_goes_on(kafka: Kafka, open_log: Open) -> None:
    """Somebody lowered the bound meanwhile: the broker's word is handed on."""
    topic = new_topic()
    log = open_log(topic)
    entry = ConfigEntry("max.message.bytes", "1000", incremental_operation=AlterConfigOpType.SET)
    change = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": kafka.address})
    admin.incremental_alter_configs([change])[change].result()
    with pytest.raises(TooLarge, match="the broker refuses a message as too large"):
        append(log, record(b"x" * 30_000))
    append(log, record(b"x" * 500))


# What others put into a topic.


def test_documents_of_others_and_our_batches_are_read_in_their_order(kafka: Kafka, open_log: Open) -> None:
    """A plain producer's documents, with keys, compression and tombstones, around batches of ours."""
    topic = new_topic()
    log = open_log(topic)
    wanted: list[str] = []
    for number, compression in enumerate(("none", "gzip", "snappy", "lz4", "zstd")):
        producer = Producer({"bootstrap.servers": kafka.address, "compression.type": compression})
        documents = [f"{compression} {i}" for i in range(50)]
        for each in documents:
            producer.produce(topic, json.dumps({"message": each, "host": {"name": "h"}}), key=each)
        producer.produce(topic, None, key="gone")
        producer.flush()
        batch = batch_of_rows(
            [{"timestamp": 0, "observed_timestamp": 0, "message": f"ours {number}.{i}"} for i in (0, 1)]
        )
        append(log, Record(ARROW_STREAM, encode_batch(batch), 2))
        wanted += [*documents, f"ours {number}.0", f"ours {number}.1"]
    reader = log.follower()
    found = events_of(reader, len(wanted))
    assert [message for message, _, _ in found] == wanted
    assert [offset for _, offset, _ in found[:53]] == [*range(50), 51, 51, 52]
    assert [row for _, _, row in found[:53]] == [0] * 51 + [1, 0]


def test_a_run_of_documents_is_one_item(kafka: Kafka, open_log: Open) -> None:
    """No object an event: ten thousand of them come in a few items, and none twice."""
    topic = new_topic()
    log = open_log(topic, partitions=3)
    producer = Producer({"bootstrap.servers": kafka.address})
    for number in range(10_000):
        producer.produce(topic, b'{"n":%d}' % number)
    producer.flush()
    reader = log.follower()
    items: list[LogRecord | LogLines] = []
    places: set[tuple[int, int]] = set()
    while len(places) < 10_000:
        items += (polled := reader.poll(bytes_max=1 << 20, timeout_s=30))
        for item in polled:
            assert isinstance(item, LogLines)
            new = {(item.partition, offset) for offset in item.offsets.tolist()}
            assert places.isdisjoint(new)
            places |= new
    assert len(items) < 200


def test_what_a_transaction_gave_up_is_not_read(kafka: Kafka, open_log: Open) -> None:
    """Aborted records and the marks of transactions leave gaps in the offsets, and nothing else."""
    topic = new_topic()
    log = open_log(topic)
    producer = Producer({"bootstrap.servers": kafka.address, "transactional.id": topic})
    producer.init_transactions()
    for number, finish in enumerate((producer.commit_transaction, producer.abort_transaction) * 2):
        producer.begin_transaction()
        for i in range(3):
            producer.produce(topic, json.dumps({"message": f"{number}.{i}"}))
        # What an abort finds in the client is not sent at all.
        producer.flush()
        finish()
    append(log, Record("application/json", b'{"message":"last"}', 1))
    *found, (last, last_offset, _) = events_of(log.follower(), 7)
    assert [(message, offset) for message, offset, _ in found] == [
        ("0.0", 0), ("0.1", 1), ("0.2", 2), ("2.0", 8), ("2.1", 9), ("2.2", 10),
    ]  # fmt: skip
    # The mark of the last abort may be written before it or after.
    assert last == "last"
    assert last_offset in (15, 16)


# Followers, and topics that were made anew.


def test_a_follower_reads_all_partitions_from_where_it_is_told(open_log: Open) -> None:
    """Without a group: two read the same, nothing is committed, and new records come by themselves."""
    log = open_log(new_topic(), partitions=2)
    for number in range(4):
        append(log, record(str(number)), record(str(number)))
    one, two = log.follower(), log.follower({0: 3, 1: 1})
    assert len(read(one, 8)) == 8
    assert sorted((item.partition, item.offset) for item in read(two, 4)) == [(0, 3), (1, 1), (1, 2), (1, 3)]
    with pytest.raises(Stop):
        one.commit({0: 1})
    ((partition, offset),) = append(log, record("new"))
    for reader in (one, two):
        assert [(item.partition, item.offset) for item in read(reader, 1)] == [(partition, offset)]
        reader.close()


def test_a_topic_that_ends_below_what_is_stored_stops_the_reader(kafka: Kafka, open_log: Open) -> None:
    """It was deleted and made anew: its new records would be taken for old ones."""
    topic = new_topic()
    log = open_log(topic)
    append(log, *(record(str(i)) for i in range(5)))
    log.close()
    delete_topic(kafka, topic)
    again = open_log(topic)
    append(again, record("new"))
    member = again.reader("g", Recorder({0: 5}))
    with pytest.raises(Stop, match=r"offset 5 was reached before, and the topic ends at 1.*another topic"):
        read(member, 1)
    member.close()
    follower = again.follower({0: 5})
    with pytest.raises(Stop, match="offset 5 was reached before"):
        read(follower, 1)
    follower.close()


def test_an_appender_outlives_its_topic(kafka: Kafka, open_log: Open) -> None:
    """Deleted and made anew under a running producer: appends are refused for a while, and then work again."""
    topic = new_topic()
    log = open_log(topic, message_timeout_ms="1000", topic_metadata_refresh_interval_ms="200")
    append(log, record("old"))
    delete_topic(kafka, topic)
    with pytest.raises(RetryLater):
        append(log, record("lost"))
    make_topic(kafka, topic)
    while True:
        try:
            append(log, record("new"))
            break
        except RetryLater:
            continue
    assert read(log.follower(), 1)[-1].record.payload == b"new"


def test_records_that_retention_took_before_they_were_read_are_said_to_be_gone(
    kafka: Kafka, open_log: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is dropped in silence; reading goes on with what is there."""
    topic = new_topic()
    log = open_log(topic)
    append(log, *(record(str(i)) for i in range(5)))
    admin = AdminClient({"bootstrap.servers": kafka.address})
    gone = TopicPartition(topic, 0, 3)
    admin.delete_records([gone])[gone].result()
    reader = log.reader("g", Recorder({0: 1}))
    with caplog.at_level(logging.WARNING):
        assert [item.offset for item in read(reader, 2)] == [3, 4]
    assert "records 1 to 2 were deleted by the topic's retention" in caplog.text
    assert log.figures().lag_records == {"g": 2}
    reader.close()


def test_columns_of_our_batches_survive_the_way(open_log: Open) -> None:
    """The Arrow stream is not touched."""
    log = open_log(new_topic())
    batch = batch_of_rows([{"timestamp": 7, "observed_timestamp": 8, "message": "ü", "attributes": {"a.b": "c"}}])
    append(log, Record(ARROW_STREAM, encode_batch(batch), 1))
    (found,) = read(log.follower(), 1)
    assert isinstance(batch, pa.RecordBatch)
    assert decode_batch(found.record.payload).equals(batch)
