"""The store on both servers: what is kept, once, and what is refused."""

from __future__ import annotations

import threading
from typing import Any

import orjson
import pyarrow as pa
import pytest

from tailrace.config import ElasticsearchSettings
from tailrace.errors import RetryLater, Stop
from tailrace.model.batch import batch_of_rows, with_identity
from tailrace.store.elasticsearch.indices import index_figures
from tailrace.store.elasticsearch.progress import write_progress
from tailrace.store.elasticsearch.server import Server
from tests.store.elasticsearch.conftest import Rig
from tests.store.elasticsearch.rig import DAY, documents_of, reached_of, records

ARRIVED_US = 1_743_156_000_000_000
"""2025-03-28T10:00:00Z."""


def event(**fields: Any) -> dict[str, Any]:
    return {"timestamp": ARRIVED_US, "observed_timestamp": ARRIVED_US, "message": "", **fields}


ODD_EVENTS = [
    event(message="\0 a \x01 \x7f \u2028 \uffff \U0010ffff 'quote\" \\ \n"),
    event(message="word " * 200_000),
    event(message="x" * 1_000_000),
    event(level="X" * 40_000, service="ü" * 9_000, host="🎉" * 9_000, trace_id="\0", span_id=""),
    event(attributes={"long": "x" * 100_000}),
    event(attributes={"long": "🎉" * 8_000, "longer": "🎉" * 8_192}),
    event(attributes={"k" * 40_000: "v"}),
    event(attributes={f"k.{i}.v": str(i) for i in range(256)}),
    event(attributes={"": "empty", ".": "1", "..": "2", " ": "3", "a.": "4", ".a": "5", "a..b": "6", "a b": "7"}),
    event(attributes={"a": "1", "a.b": "2", "a.b.c": "3"}),
    event(attributes={"a.b": "2", "a": "1"}),
    event(attributes={"\0": "nul", "a\0b": "nul", "c": "\0"}),
    event(attributes={"none": None, "empty": ""}),
    event(attributes={"_id": "x", "_source": "y", "attributes": "z", "@timestamp": "never", "level": "5"}),
    event(attributes={".".join("abcdefghijklmnopqrstuvwxyz" * 10): "deep"}),
    event(attributes={"a=b": "c=d", "=": "="}),
    event(timestamp=0),
    event(timestamp=-1),
    event(timestamp=-62_135_596_800_000_001),
    event(timestamp=10**18),
    event(timestamp=2**62),
    event(timestamp=-(2**62)),
]


def test_no_event_is_refused_for_what_it_holds(rig: Rig) -> None:
    """Odd bytes, texts far past what an index takes, odd keys, far times: all are there, to the last byte."""
    batch = with_identity(
        batch_of_rows([{**row, "attributes": list(row.get("attributes", {}).items())} for row in ODD_EVENTS]), 0, 0
    )
    rig.open().write([batch], {0: 1})
    assert rig.letters.kept == {}
    found = dict(documents_of(rig.url))
    for number, sent in enumerate(ODD_EVENTS):
        document = found[f"0-0-{number}"]
        assert document["timestamp_us"] == sent["timestamp"]
        assert document["message"] == sent["message"]
        for name in ("level", "service", "host", "trace_id", "span_id"):
            assert document.get(name) == sent.get(name)
        assert {**document["attributes"], **document.get("attributes_apart", {})} == sent.get("attributes", {})


def test_a_refused_event_becomes_a_dead_letter(rig: Rig) -> None:
    """Somebody's own mapping refuses two of three: they are kept with the server's reason, and progress goes on."""
    server = Server(rig.url)
    server.request(
        "PUT", f"/{server.name}-2025.03.28", {"mappings": {"properties": {"message": {"type": "integer"}}}}
    )
    store = rig.open()
    rows = [event(message=text, attributes=[("k", "v")]) for text in ("no number", "17", "nor this")]
    for _ in range(2):
        store.write([with_identity(batch_of_rows(rows), 3, 4)], {3: 5})
    assert [id for id, _ in documents_of(rig.url)] == ["3-4-1"]
    assert store.reached() == {3: 5}
    assert set(rig.letters.kept) == {(3, 4, 0), (3, 4, 2)}
    letter = rig.letters.kept[3, 4, 0]
    assert letter["source"] == f"elasticsearch: index {server.name}-2025.03.28"
    assert "failed to parse field [message] of type [integer]" in letter["reason"]
    sent = {"timestamp": "2025-03-28T10:00:00.000000Z", "message": "no number", "attributes": {"k": "v"}}
    assert (letter["content_type"], orjson.loads(letter["raw"])) == ("application/json", sent)
    server.close()


def test_a_closed_index_delays_and_buries_nothing(rig: Rig) -> None:
    """`RetryLater` until it is opened again; then the same call completes."""
    store = rig.open()
    store.write([records(range(2))], {0: 2})
    server = Server(rig.url)
    server.request("POST", f"/{server.name}-{DAY}/_close")
    with pytest.raises(RetryLater, match="closed"):
        store.write([records(range(2, 4))], {0: 4})
    assert store.reached() == {0: 2}
    server.request("POST", f"/{server.name}-{DAY}/_open")
    server.request("GET", f"/_cluster/health/{server.name}-{DAY}", parameters={"wait_for_status": "yellow"})
    store.write([records(range(2, 4))], {0: 4})
    assert len(documents_of(rig.url)) == 12
    assert not rig.letters.kept
    server.close()


def test_an_index_that_cannot_be_made_delays(rig: Rig) -> None:
    """An alias has its name: the events wait, and the reason is said."""
    server = Server(rig.url)
    server.create_index(f"other-{server.name}", {"aliases": {f"{server.name}-{DAY}": {}}})
    with pytest.raises(RetryLater, match="cannot be made"):
        rig.open().write([records(range(1))], {0: 1})
    assert reached_of(rig.url) == {}
    server.close()


def test_an_index_that_was_dropped_is_made_again(rig: Rig) -> None:
    """Where the server makes none by itself, too: the write that finds it gone is put off, the next one makes it."""
    store = rig.open()
    store.write([records(range(2))], {0: 2})
    server = Server(rig.url)
    server.request("DELETE", f"/{server.name}-{DAY}")
    forbidden = {"persistent": {"action.auto_create_index": f"-{server.name}-*,+*"}}
    server.request("PUT", "/_cluster/settings", forbidden)
    try:
        with pytest.raises(RetryLater, match="index_not_found"):
            store.write([records(range(2, 4))], {0: 4})
        store.write([records(range(2, 4))], {0: 4})
    finally:
        server.request("PUT", "/_cluster/settings", {"persistent": {"action.auto_create_index": None}})
        server.close()
    assert sorted(id for id, _ in documents_of(rig.url))[0] == "0-2-0"
    assert not rig.letters.kept


def test_a_template_in_the_way_stops(rig: Rig) -> None:
    """Somebody's template for the same names, of the same priority: nobody here can mend it."""
    server = Server(rig.url)
    server.request(
        "PUT", f"/_index_template/{server.name}", {"index_patterns": [f"{server.name}-*"], "priority": 500}
    )
    with pytest.raises(Stop, match="same priority"):
        rig.open()
    server.request("DELETE", f"/_index_template/{server.name}")
    server.close()


def test_days_have_indices_of_their_own(rig: Rig) -> None:
    """By arrival; what the client says of the time does not matter."""
    rows = [event(observed_timestamp=ARRIVED_US + day * 86_400_000_000, timestamp=0) for day in (0, 0, 1)]
    rig.open().write([with_identity(batch_of_rows(rows), 0, 0)], {0: 1})
    server = Server(rig.url)
    answer = server.request("GET", f"/_cat/indices/{server.name}-*", parameters={"format": "json"})
    assert {row["index"]: row["docs.count"] for row in answer} == {
        f"{server.name}-2025.03.28": "2",
        f"{server.name}-2025.03.29": "1",
    }
    figures = index_figures(server)
    assert (figures["indices"], figures["documents"]) == (2, 3)
    assert int(figures["bytes"]) > 0
    server.close()


def test_two_writers_that_both_believe_a_partition_theirs(rig: Rig) -> None:
    """Side by side, in other batches, over and over: each event is there once, and progress is the furthest."""
    offsets = 60
    stores = [rig.open(ElasticsearchSettings(bulk_bytes=size)) for size in (3_000, 20_000)]
    failures: list[BaseException] = []

    def write(store: Any, step: int) -> None:
        try:
            for first in range(0, offsets, step):
                last = min(first + step, offsets)
                store.write([records(range(max(0, first - 2), last), rows=5)], {0: last})
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=write, args=(store, step)) for store, step in zip(stores, (7, 10), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = [id for id, _ in documents_of(rig.url)]
    assert sorted(found) == sorted(f"0-{offset}-{row}" for offset in range(offsets) for row in range(5))
    assert reached_of(rig.url) == {0: offsets}


def test_progress_is_held_against_a_writer_that_is_late(rig: Rig) -> None:
    """One that has read an older progress and writes its own afterwards sets nothing back."""
    store = rig.open()
    store.write([], {0: 9, 1: 4})
    server = Server(rig.url)
    write_progress(server, {0: 3, 1: 6, 2: 0})
    assert store.reached() == {0: 9, 1: 6, 2: 0}
    server.close()


def test_the_template_is_put_again_at_each_start(rig: Rig) -> None:
    """Twice is as good as once, and a day that begins under another setting has it."""
    rig.open()
    rig.open(ElasticsearchSettings(shards=2)).write([records(range(1))], {0: 1})
    server = Server(rig.url)
    settings = server.request("GET", f"/{server.name}-{DAY}/_settings")[f"{server.name}-{DAY}"]["settings"]["index"]
    assert settings["number_of_shards"] == "2"
    server.close()


def test_a_batch_of_many_partitions(rig: Rig) -> None:
    """Each has its own identity and its own progress."""
    store = rig.open()
    batch = pa.concat_batches([records([partition * 10], partition=partition) for partition in range(5)])
    store.write([batch], {partition: partition * 10 + 1 for partition in range(5)})
    assert store.reached() == {partition: partition * 10 + 1 for partition in range(5)}
    assert len(documents_of(rig.url)) == 15
