from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.client.shipper.multiline import Joining
from tailrace.client.shipper.reading import Reader, ShipReading
from tailrace.client.shipper.shipment import make_shipment
from tailrace.config import IngestSettings
from tailrace.ingest.arrow_logs import decode_arrow
from tests.client.shipper.test_multiline import AFTER, ALONE, BEFORE, HEAD, TRACES

NOW_US = 1_774_690_000_000_000
POD = Path("/var/log/pods/shop_cart_77/cart/0.log")


def rows(reader: Reader, data: bytes, *, settled: bool = True) -> list[dict[str, Any]]:
    read = reader.read(data, settled=settled, now_us=NOW_US)
    found: list[dict[str, Any]] = read.events.to_pylist()
    return found


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_lines_of_a_container_have_the_runtimes_time_where_they_have_none() -> None:
    """Text and JSON alike; a line's own time counts before it."""
    data = (
        b"2026-03-28T10:00:01.5Z stdout F no time\n"
        b"2026-03-28T10:00:02Z stdout F 2026-03-01 09:00:00 ERROR a time\n"
        b'2026-03-28T10:00:03Z stdout F {"msg":"no time","level":"warn"}\n'
        b'2026-03-28T10:00:04Z stdout F {"msg":"a time","time":"2026-03-01T09:00:00Z"}\n'
        b"2026-03-28T10:00:05Z stderr F {broken json}\n"
    )
    found = rows(Reader([POD], ShipReading(node="n1")), data)
    assert [(event["timestamp"], event["level"]) for event in found] == [
        (at("2026-03-28 10:00:01.500000"), None),
        (at("2026-03-01 09:00:00"), "ERROR"),
        (at("2026-03-28 10:00:03"), "WARN"),
        (at("2026-03-01 09:00:00"), None),
        (at("2026-03-28 10:00:05"), None),
    ]
    assert [event["message"] for event in found[2:]] == ["no time", "a time", "{broken json}"]
    assert {(event["service"], event["host"]) for event in found} == {("cart", "n1")}
    assert [event["stream"] for event in found] == ["stdout"] * 4 + ["stderr"]
    assert {event["kubernetes.pod_uid"] for event in found} == {"77"}


def test_the_options_count_before_the_containers_name() -> None:
    """And what a line says itself before both."""
    data = b'2026-03-28T10:00:03Z stdout F {"msg":"a","service":"own"}\n2026-03-28T10:00:03Z stdout F b\n'
    reader = Reader([POD], ShipReading(service="asked", host="here", node="n1"))
    assert [(event["service"], event["host"]) for event in rows(reader, data)] == [("own", "here"), ("asked", "here")]


def test_json_lines_go_to_the_server_and_text_between_them_does_not() -> None:
    """Piece by piece: a banner that a program prints first does not make the rest text."""
    reader = Reader([Path("/var/log/app.log")], ShipReading())
    banner = reader.read(b"starting\n", settled=True, now_us=NOW_US)
    assert (banner.events.num_rows, banner.json) == (1, b"")
    lines = reader.read(b'{"a":1}\n{"a":2}', settled=True, now_us=NOW_US)
    assert (lines.events.num_rows, lines.json) == (0, b'{"a":1}\n{"a":2}\n')


@pytest.mark.parametrize("text", ["x" * 100_000, "\u2028", "\x85"], ids=["long", "separator", "next-line"])
def test_a_line_of_json_may_be_long_and_hold_other_line_ends(text: str) -> None:
    """It is JSON by itself, as most lines come."""
    line = json.dumps({"msg": text}, ensure_ascii=False).encode() + b"\n"
    assert Reader([Path("a.log")], ShipReading()).read(line, settled=True, now_us=NOW_US).json == line


def test_a_long_line_of_docker_is_taken_out_of_its_wrapping() -> None:
    """Escaped, its 16 KiB may be six times as many."""
    log = "\x01" * 16_000
    line = json.dumps({"log": f"{log}\n", "stream": "stdout", "time": "2026-03-28T10:00:00Z"}, separators=(",", ":"))
    [event] = rows(Reader([Path("a.log")], ShipReading()), f"{line}\n".encode())
    assert event["message"] == log


@pytest.mark.slow
def test_hundreds_of_containers_go_in_one_shipment() -> None:
    """Each with a name of its own, which the events keep."""
    line = b"2026-03-28T10:00:00Z stdout F hello\n"
    readers = [Reader([Path(f"/var/log/pods/shop_cart-{n}_{n}/cart/0.log")], ShipReading()) for n in range(140)]
    reads = [reader.read(line, settled=True, now_us=NOW_US) for reader in readers]
    [body] = make_shipment("key", reads, name="", read_bytes=0).bodies
    events = decode_arrow(body.payload, limits=IngestSettings(), now_us=NOW_US).events
    pods = [dict(attributes)["kubernetes.pod"] for attributes in events.column("attributes").to_pylist()]
    assert pods == [f"cart-{n}" for n in range(140)]


def test_a_long_word_in_logfmt_is_looked_at_once() -> None:
    """As keys are looked for; tried from each of its characters it would take minutes."""
    line = "time=2026-03-28T10:00:00Z level=info key=value " + "x" * 500_000
    [event] = rows(Reader([Path("a.log")], ShipReading()), f"{line}\n".encode())
    assert (event["message"], event["level"], dict(event["attributes"])["key"]) == (line, "INFO", "value")


@pytest.mark.parametrize(
    "line", ["time=2026-03-28T10:00:00Z level=info %s trace_id=7", "<165>1 2026-03-28T10:00:00Z h app 7 - [a %s] x"]
)
def test_a_line_of_many_fields_is_an_event_that_the_server_takes(line: str) -> None:
    """Of names that no other line has, too: as many as an event may have are read out, the line has the rest."""
    reader = Reader([Path("a.log")], ShipReading())
    data = "".join(
        line % " ".join(f'key{n}="{n}"' for n in range(first, first + 300)) + "\n" for first in range(0, 3000, 300)
    )
    read = reader.read(data.encode(), settled=True, now_us=NOW_US)
    [body] = make_shipment("key", [read], name="", read_bytes=0).bodies
    events = decode_arrow(body.payload, limits=IngestSettings(), now_us=NOW_US).events
    assert events.column("message").to_pylist() == data.splitlines()
    assert len(events.column("attributes")[0]) > 100
    assert set(events.column("trace_id").to_pylist()) == {"7" if "trace_id" in line else None}


def test_a_line_that_is_too_long_is_handed_on_by_itself() -> None:
    """Of a file and of a container; the lines around it are events."""
    long = b"x" * ((1 << 20) + 1)
    read = Reader([Path("a.log")], ShipReading()).read(b"a\n" + long + b"\nb\n", settled=True, now_us=NOW_US)
    assert (read.events.column("message").to_pylist(), read.refused) == (["a", "b"], (long,))
    wrapped = b"".join(b"2026-03-28T10:00:03Z stdout F %s\n" % line for line in (b"a", long, b"b", b"c"))
    read = Reader([POD], ShipReading()).read(wrapped, settled=False, now_us=NOW_US)
    assert (read.events.column("message").to_pylist(), read.refused) == (["a", "b"], (long,))
    assert wrapped[read.end :].endswith(b" F c\n")
    assert read.end == wrapped.rindex(b"2026")


_TEXTS = st.lists(
    st.sampled_from([BEFORE, AFTER, "plain", *(f"{HEAD}\n{trace}" for trace in TRACES.values()), *ALONE.values()]),
    min_size=1,
    max_size=6,
)


def as_text(lines: list[str], chance: random.Random) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def as_container(lines: list[str], chance: random.Random) -> bytes:
    """Of two streams, whose lines come in between each other, some cut in two."""
    streams: list[list[str]] = []
    for stream in ("stdout", "stderr"):
        wrapped = []
        for line in lines:
            cut = chance.choice([len(line), chance.randint(0, len(line))])
            parts = [("F", line)] if cut == len(line) else [("P", line[:cut]), ("F", line[cut:])]
            wrapped += [f"2026-03-28T10:00:00Z {stream} {tag} {part}\n" for tag, part in parts]
        streams.append(wrapped)
    text = ""
    while any(streams):
        chosen = chance.choice(streams)
        text += chosen.pop(0) if chosen else ""
    return text.encode()


@pytest.mark.slow
@pytest.mark.parametrize("written", [as_text, as_container])
@settings(max_examples=40, deadline=None)
@given(texts=_TEXTS, seed=st.integers(0, 1 << 32))
def test_however_a_file_grows_its_events_are_the_same(written: Any, texts: list[str], seed: int) -> None:
    """Read at any moments, the events are those of the whole file; and each range read again by itself, as after a
    crash, gives the events that it gave.
    """
    chance = random.Random(seed)
    blob = written("\n".join(texts).split("\n"), chance)
    reading = ShipReading(format=None if written is as_container else "found")
    path = POD if written is as_container else Path("a.log")
    whole = sorted(event["message"] for event in rows(Reader([path], reading), blob))
    reader, position, found, ranges = Reader([path], reading), 0, [], []
    ends = [each for each in range(len(blob) + 1) if blob[each - 1 : each] == b"\n"]
    for seen in [*sorted(chance.sample(ends, min(5, len(ends)))), len(blob)]:
        if seen > position:
            read = reader.read(blob[position:seen], settled=seen == len(blob), now_us=NOW_US)
            messages = read.events.column("message").to_pylist()
            assert read.end or not messages
            ranges.append((position, position + read.end, messages))
            found += messages
            position += read.end
    assert position == len(blob)
    assert sorted(found) == whole
    for start, end, messages in ranges:
        if end > start:
            assert [event["message"] for event in rows(Reader([path], reading), blob[start:end])] == messages


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.binary(max_size=60), min_size=1, max_size=12), st.booleans(), st.sampled_from([None, "cri", "docker"])
)
def test_any_bytes_become_events(lines: list[bytes], settled: bool, format: Any) -> None:
    """Nothing raises, and no line is lost: each is an event, part of one, or JSON for the server."""
    blob = b"".join(line.replace(b"\n", b"") + b"\n" for line in lines)
    read = Reader([POD], ShipReading(format=format, joining=Joining(off=True))).read(
        blob, settled=settled, now_us=NOW_US
    )
    assert 0 <= read.end <= len(blob)
    if settled:
        assert read.end == len(blob)
    if not read.json and not blob.startswith(b"\0"):
        assert read.events.num_rows == blob[: read.end].count(b"\n")


def test_a_batch_keeps_the_way_of_reading_that_it_has_by_itself() -> None:
    """Cut so that it alone would be taken for JSON, it is read as that at once: a crash must not change its body."""
    json_line = json.dumps({"msg": "x"})
    lines = [json_line, json_line, "text", "text", "text", *TRACES["python"].split("\n")[:3]]
    data = "".join(f"{line}\n" for line in lines).encode()
    for count in range(1, len(lines) + 1):
        part = b"".join(data.splitlines(keepends=True)[:count])
        read = Reader([Path("a.log")], ShipReading()).read(part, settled=False, now_us=NOW_US)
        again = Reader([Path("a.log")], ShipReading()).read(part[: read.end], settled=True, now_us=NOW_US)
        assert (again.end, again.json, again.events.num_rows) == (read.end, read.json, read.events.num_rows)
