"""Bulk requests of Elasticsearch: what real clients send, what is wrong, and what is answered."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config import IngestSettings
from tailrace.errors import BadInput, RetryLater, TooLarge
from tailrace.ingest.bulk import actions
from tailrace.ingest.bulk.answer import bulk_answer, document_answer, error_body, with_took
from tailrace.ingest.bulk.decode import BulkDecoded, decode_bulk, decode_document
from tailrace.ingest.bulk.ids import RecentDocuments
from tailrace.ingest.json_logs import REJECTED_MAX, decode_json
from tailrace.ingest.json_slow import NotAnEvent, NotJson, decode_event

LIMITS = IngestSettings()
NOW_US = 1_743_156_000_000_000
PREFIX = "abcdefghijklmn"


def decode(body: str | bytes, **options: Any) -> BulkDecoded:
    raw = body.encode() if isinstance(body, str) else body
    return decode_bulk(raw, limits=options.pop("limits", LIMITS), now_us=NOW_US, **options)


def answer(decoded: BulkDecoded) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(with_took(bulk_answer(decoded, id_prefix=PREFIX).body, 3))
    return whole


def statuses(decoded: BulkDecoded) -> list[int]:
    return [outcome["status"] for item in answer(decoded)["items"] for outcome in item.values()]


def attributes(decoded: BulkDecoded) -> list[dict[str, str]]:
    return [dict(each) for each in decoded.events["attributes"].to_pylist()]


def messages(decoded: BulkDecoded) -> list[str]:
    found: list[str] = decoded.events["message"].to_pylist()
    return found


# As the clients' sources write them; those of tests/shippers are run as well.
SENT = {
    "filebeat 8": (
        b'{"create":{"_index":"filebeat-8.19.0"}}\n'
        b'{"@timestamp":"2025-03-28T09:59:58.123Z","log":{"offset":77,"file":{"path":"/var/log/app.log"}},'
        b'"message":"hello","input":{"type":"filestream"},"ecs":{"version":"8.0.0"},"host":{"name":"node-1"},'
        b'"agent":{"type":"filebeat","version":"8.19.0","id":"a1","name":"node-1","ephemeral_id":"e1"}}\n',
        {"_index": "filebeat-8.19.0", "log.offset": "77", "log.file.path": "/var/log/app.log"},
    ),
    "logstash": (
        b'{"create":{"_id":null,"_index":"logs-generic-default","routing":null}}\n'
        b'{"@version":"1","message":"hello","@timestamp":"2025-03-28T09:59:58.123Z","host":{"name":"node-1"},'
        b'"data_stream":{"type":"logs"}}\n',
        {"_index": "logs-generic-default", "@version": "1", "data_stream.type": "logs"},
    ),
    "fluent-bit": (
        b'{"create":{"_index":"fluent-bit","_id":"ab12-cd34"}}\n'
        b'{"@timestamp":"2025-03-28T09:59:58.123Z","log":"hello","host":"node-1"}\n',
        {"_index": "fluent-bit", "_id": "ab12-cd34"},
    ),
    "vector": (
        b'{"create":{"_index":"vector-2025.03.28","_type":"_doc"}}\n'
        b'{"host":"node-1","message":"hello","timestamp":"2025-03-28T09:59:58.123Z","source_type":"file"}\n',
        {"_index": "vector-2025.03.28", "source_type": "file"},
    ),
    "rsyslog": (
        b'{"index":{"_index": "system","_type":"events"}}\n'
        b'{"message":"hello","host":"node-1","@timestamp":"2025-03-28T09:59:58.123Z","facility":"user"}\n\n',
        {"_index": "system", "facility": "user"},
    ),
    "elasticsearch-py": (
        b'{"index":{"_index":"web","_id":"1","pipeline":"p","require_alias":false}}\n'
        b'{"message":"hello","host":"node-1","@timestamp":"2025-03-28T09:59:58.123Z"}\n',
        {"_index": "web", "_id": "1"},
    ),
    "a number as the id, no line feed at the end, carriage returns": (
        b'{ "index" : { "_id" : 12, "_index" : "caf\\u00e9" } }\r\n'
        b'{"message":"hello","host":"node-1","@timestamp":"2025-03-28T09:59:58.123Z"}\r',
        {"_index": "café", "_id": "12"},
    ),
}


@pytest.mark.parametrize("name", SENT)
def test_what_clients_send_becomes_events(name: str) -> None:
    """Time, message and host are the event's own, index and id attributes; each document is answered 201."""
    body, expected = SENT[name]
    decoded = decode(body)
    assert decoded.rejected == []
    assert messages(decoded) == ["hello"]
    assert decoded.events["host"].to_pylist() == ["node-1"]
    assert decoded.events["timestamp"].cast("int64").to_pylist() == [NOW_US - 1_877_000]
    found = attributes(decoded)[0]
    assert {key: found.get(key) for key in expected} == expected
    assert ("_id" in found) == ("_id" in expected)
    assert statuses(decoded) == [201]


def test_the_answer_is_what_clients_look_for_byte_by_byte() -> None:
    """Compact, its keys in Elasticsearch's order; an item for each action, with the operation's name."""
    good = decode('{"create":{"_index":"web","_id":"7"}}\n{"message":"a"}\n{"index":{}}\n{"message":"b"}\n')
    assert with_took(bulk_answer(good, id_prefix=PREFIX).body, 3) == (
        b'{"took":3,"errors":false,"items":[{"create":{"_index":"web","_id":"7","status":201}},'
        b'{"index":{"_index":"logs","_id":"abcdefghijklmn000001","status":201}}]}'
    )
    bad = decode('{"create":{"_index":"web","_id":"7"}}\n[1]\n', index="other")
    assert with_took(bulk_answer(bad, id_prefix=PREFIX).body, 0) == (
        b'{"took":0,"errors":true,"items":[{"create":{"_index":"web","_id":"7","status":400,'
        b'"error":{"type":"document_parsing_exception","reason":"an array is not an event; send an object"}}}]}'
    )


def test_ids_that_are_made_here_differ() -> None:
    """Those of one request by their number, which goes on behind the digits."""
    decoded = decode('{"index":{}}\n{}\n' * 2000)
    ids = [item["index"]["_id"] for item in answer(decoded)["items"]]
    assert len(set(ids)) == 2000
    assert all(len(id) == 20 and id.startswith(PREFIX) for id in ids)


def test_a_bad_document_is_refused_alone_and_its_bytes_are_kept() -> None:
    """The others are events; the dead letter has the document's line and bytes, not what was put into it here."""
    decoded = decode(
        '\n{"index":{"_index":"a"}}\n{"message":"1"}\n{"index":{}}\n{"message":\n{"index":{}}\n\n'
        '{"create":{}}\n "text" \n{"index":{"_id":"x"}}\n{"message":"2"}\n'
    )
    assert messages(decoded) == ["1", "2"]
    assert statuses(decoded) == [201, 400, 400, 400, 201]
    assert [(each.line, each.raw) for each in decoded.rejected] == [(5, b'{"message":'), (7, b""), (9, b'"text"')]


def test_a_field_that_is_the_actions_is_refused_in_a_document() -> None:
    """As Elasticsearch refuses it: an id in the document must not be taken for the one that events are told by."""
    own = (
        '{"index":{}}\n{"_id":"x"}\n{"index":{"_id":"y"}}\n{"_id":"y"}\n{"index":{}}\n{"attributes":{"_index":"z"}}\n'
    )
    decoded = decode(own + '{"index":{"_id":"q"}}\n{"message":"good"}\n')
    assert statuses(decoded) == [400, 400, 400, 201]
    assert messages(decoded) == ["good"]
    assert sorted(each.line for each in decoded.rejected) == [2, 4, 6]
    assert all("metadata field" in each.reason for each in decoded.rejected)


def test_actions_that_would_change_an_event_are_refused_one_by_one() -> None:
    """An update's document is kept as a dead letter; a delete has none."""
    decoded = decode(
        '{"update":{"_id":"1"}}\n{"doc":{"a":1}}\n{"delete":{"_id":"1"}}\n{"index":{}}\n{"message":"m"}\n'
    )
    assert [next(iter(item)) for item in answer(decoded)["items"]] == ["update", "delete", "index"]
    assert statuses(decoded) == [400, 400, 201]
    assert [(each.line, each.raw) for each in decoded.rejected] == [(2, b'{"doc":{"a":1}}')]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("", "no action"),
        ("\n \n", "no action"),
        ("not json\n{}\n", "line [1], not JSON"),
        ('{"index":{}}\n{}\n{"index":}\n{}\n', "line [3], not JSON"),
        ('{"message":"no action before it"}\n', "line [1], expected field"),
        ('{"index":{},"create":{}}\n{}\n', "line [1], expected an object with one action"),
        ('{"index":[]}\n{}\n', "line [1], expected an object behind"),
        ('{"index":{"_id":{"a":1}}}\n{}\n', "simple value for field [_id]"),
        ('["index"]\n{}\n', "line [1], expected an object"),
        ('{"index":{}}\n{}\n{"index":{}}\n', "line 3 has no document"),
        ('{"index":{}}', "line 1 has no document"),
        ('{"update":{"_id":"1"}}\n', "line 1 has no document"),
        (b'{"index":{"_id":"\xff"}}\n{}\n', "invalid UTF-8"),
        ('{"\\ud800":{}}\n{}\n', "line [1], expected field"),
    ],
)
def test_an_action_that_cannot_be_read_refuses_the_request(body: str | bytes, told: str) -> None:
    """Nobody knows what the lines behind it are, so none is kept; the line is named."""
    with pytest.raises(BadInput) as caught:
        decode(body)
    assert told in str(caught.value)
    assert json.loads(error_body(400, "t", str(caught.value)))["error"]["reason"] == str(caught.value)


def test_limits_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of an event for a document, as it was sent; those of Elasticsearch for ids; that of a request's items."""
    limits = IngestSettings(line_bytes_max=60, fields_max=3)
    fits = '{"index":{"_index":"0123456789","_id":"0123456789"}}\n{"message":"%s"}\n' % ("x" * 46)
    assert statuses(decode(fits, limits=limits)) == [201]
    assert statuses(decode(fits.replace("xx", "xxx"), limits=limits)) == [400]
    assert statuses(decode('{"index":{"_id":"1"}}\n{"a":1,"b":2,"c":3}\n', limits=limits)) == [201]
    assert statuses(decode('{"index":{"_id":"1"}}\n{"a":1,"b":2,"c":3,"d":4}\n', limits=limits)) == [400]
    assert statuses(decode('{"index":{"_id":"%s"}}\n{}\n' % ("x" * 512))) == [201]
    assert statuses(decode('{"index":{"_id":"%s"}}\n{}\n' % ("x" * 513))) == [400]
    assert statuses(decode('{"index":{"_id":""}}\n{}\n')) == [400]
    assert statuses(decode('{"index":{"_index":"%s"}}\n{}\n' % ("x" * 256))) == [400]
    assert statuses(decode('{"index":{}}\n{}\n', index="é" * 127)) == [201]
    with pytest.raises(BadInput, match="index name"):
        decode('{"index":{}}\n{}\n', index="é" * 128)
    monkeypatch.setattr(actions, "ITEMS_MAX", 3)
    assert statuses(decode('{"index":{}}\n{}\n' * 3)) == [201] * 3
    with pytest.raises(TooLarge):
        decode('{"index":{}}\n{}\n' * 4)


def test_ids_without_a_place_in_unicode_are_told_apart_from_others() -> None:
    """Half of a surrogate pair is no question mark, which may be another document's id."""
    decoded = decode('{"index":{"_id":"\\ud800"}}\n{}\n{"index":{"_id":"?"}}\n{}\n')
    assert statuses(decoded) == [201, 201]
    assert [each["_id"] for each in attributes(decoded)] == ["\ufffd", "?"]


@pytest.mark.slow
def test_of_very_many_bad_documents_the_first_are_told() -> None:
    """The others share an outcome and a dead letter, with all their bytes; each is still answered 400."""
    count = REJECTED_MAX + 500
    decoded = decode('{"index":{}}\nbad\n' * count + '{"index":{}}\n{"message":"good"}\n')
    assert messages(decoded) == ["good"]
    assert statuses(decoded) == [400] * count + [201]
    assert len(decoded.rejected) == REJECTED_MAX + 1
    assert decoded.rejected[-1].raw.split(b"\n") == [b"bad"] * 500


def test_a_document_that_comes_again_is_no_second_event() -> None:
    """`create` is answered 409, `index` 200, within a request and from one to the next; other indices are others."""
    recent = RecentDocuments()
    lines = [
        '{"create":{"_index":"web","_id":"1"}}\n{"message":"first"}\n',
        '{"create":{"_index":"web","_id":"1"}}\n{"message":"second"}\n',
        '{"index":{"_id":"1","_index":"w\\u0065b"}}\n{"message":"third"}\n',
        '{"create":{"_index":"other","_id":"1"}}\n{"message":"fourth"}\n',
        '{"create":{"_index":"other"}}\n{"message":"fifth"}\n' * 2,
    ]
    decoded = decode("".join(lines), seen=recent)
    assert messages(decoded) == ["first", "fourth", "fifth", "fifth"]
    assert statuses(decoded) == [201, 409, 200, 201, 201, 201]
    assert answer(decoded)["items"][2]["index"]["result"] == "noop"
    again = decode("".join(lines), seen=recent)
    assert statuses(again) == statuses(decoded), "nothing was durable yet"
    recent.add(decoded.documents)
    assert statuses(decode("".join(lines), seen=recent)) == [409, 409, 200, 409, 201, 201]


def test_a_bad_document_leaves_its_id_to_a_good_one() -> None:
    """What was refused is no event."""
    decoded = decode('{"create":{"_id":"1"}}\nbad\n{"create":{"_id":"1"}}\n{"message":"good"}\n')
    assert statuses(decoded) == [400, 201]


def test_recent_documents_are_bounded() -> None:
    """The newest are known, however many there were before."""
    recent = RecentDocuments(documents_max=8)
    documents = [bytes([number]) for number in range(100)]
    for document in documents:
        recent.add([document])
    known = recent.seen(documents)
    assert 4 <= len(known) <= 8
    assert set(documents[-4:]) <= set(known)
    recent.add(documents)
    assert len(recent.seen(documents)) <= 8


def test_documents_from_before_this_process_are_known() -> None:
    """They are asked for when the first document comes, and again only if that failed."""
    asked: list[int] = []

    def newest(limit: int) -> Collection[bytes]:
        asked.append(limit)
        if len(asked) == 1:
            raise RetryLater("the file is locked")
        return [b"old"]

    recent = RecentDocuments(newest, documents_max=8)
    recent.add([])
    assert asked == []
    with pytest.raises(RetryLater):
        recent.seen([b"old"])
    assert set(recent.seen([b"old", b"new"])) == {b"old"}
    recent.add([b"new"])
    assert set(recent.seen([b"old", b"new"])) == {b"old", b"new"}
    assert asked == [4, 4]


def test_single_documents() -> None:
    """Over several lines too; answered as Elasticsearch answers one, or with its error."""

    def one(document: bytes, **options: Any) -> tuple[BulkDecoded, int, dict[str, Any]]:
        decoded = decode_document(document, limits=LIMITS, now_us=NOW_US, **options)
        told = document_answer(decoded, id_prefix=PREFIX)
        return decoded, told.status, json.loads(told.body)

    decoded, status, body = one(b'{\n  "message":\n "m"\n}\n', index='we"b', id="7")
    assert (messages(decoded), status) == (["m"], 201)
    assert (body["_index"], body["_id"], body["result"]) == ('we"b', "7", "created")
    assert attributes(decoded) == [{"_index": 'we"b', "_id": "7"}]
    _, status, body = one(b"{}")
    assert (status, body["_id"]) == (201, PREFIX + "000000")
    decoded, status, body = one(b'{"message":')
    assert (status, body["error"]["type"]) == (400, "document_parsing_exception")
    assert [(each.line, each.raw) for each in decoded.rejected] == [(1, b'{"message":')]
    broken = b'{\n"a": 1,\n"b":}'
    assert [(each.line, each.raw) for each in one(broken)[0].rejected] == [(1, broken)]
    recent = RecentDocuments()
    recent.add(one(b"{}", id="7")[0].documents)
    assert one(b"{}", id="7", seen=recent)[1:][0] == 200
    _, status, body = one(b"{}", id="7", seen=recent, operation="create")
    assert (status, body["error"]["type"]) == (409, "version_conflict_engine_exception")


def test_an_error_of_a_whole_request_has_elasticsearchs_shape() -> None:
    """Its cause, once more as the only root cause, and the status."""
    cause = {"type": "t", "reason": "r"}
    assert json.loads(error_body(429, "t", "r")) == {"error": {"root_cause": [cause], **cause}, "status": 429}


# -- against plain Python

_TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
_VALUES = st.none() | st.booleans() | st.integers(-9, 10**14) | _TEXTS | st.lists(st.integers(), max_size=2)
_DOCUMENTS = st.one_of(
    st.dictionaries(
        st.sampled_from(["message", "level", "host", "timestamp", "a", "b.c", "_id", "_index", "attributes"])
        | _TEXTS,
        _VALUES | st.dictionaries(_TEXTS, _VALUES, max_size=2),
        max_size=4,
    ).map(json.dumps),
    st.sampled_from(["7", "x"]).map(lambda id: json.dumps({"message": id, "_id": id})),
    st.sampled_from(["debug", "odd"]).map(lambda text: json.dumps({"message": text, "level": text, "host": "h"})),
    st.sampled_from(["{}", " { } ", "{", "[]", "", "null", '{"a":1}x', '{"a":1,"a":2}', '{"level":"warn"}\r']),
)
_PLAIN = st.fixed_dictionaries(
    {}, optional={"_index": st.sampled_from(["web", "logs"]), "_id": st.sampled_from("78")}
)
_ODD = st.dictionaries(
    st.sampled_from(["_index", "_id", "_type", "routing", "version", "require_alias"]),
    st.sampled_from(["web", "7", "x" * 513, "", "é", 'q"\\', 12, 1.5, None, True, False]) | _TEXTS,
    max_size=4,
)
_METADATA = _PLAIN | _PLAIN | _ODD


@st.composite
def bulk_bodies(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, dict[str, Any], bytes]]]:
    """A body whose actions can be read, and its items: operation, metadata, document."""
    items = []
    lines = []
    for _ in range(draw(st.integers(1, 8))):
        operation = draw(st.sampled_from(["index", "index", "create", "create", "create", "update", "delete"]))
        metadata = draw(_METADATA)
        style: dict[str, Any] = draw(st.sampled_from([{}, {"separators": (",", ":")}, {"ensure_ascii": False}]))
        blank = draw(st.sampled_from(["", "", " ", "\r", "\n"]))
        lines.append(blank + json.dumps({operation: metadata}, **style) + draw(st.sampled_from(["", "", " ", "\r"])))
        document = b""
        if operation != "delete":
            document = draw(_DOCUMENTS).encode()
            lines.append(document.decode())
        items.append((operation, metadata, document.strip(b" \t\r\n")))
    return ("\n".join(lines) + "\n").encode(), items


def _as_text(value: Any) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _oracle(items: Sequence[tuple[str, dict[str, Any], bytes]]) -> tuple[list[Any], list[int]]:
    """Events (message, level, host, attributes) and statuses, by what the documentation says."""
    events: list[Any] = []
    told = []
    known: set[tuple[str, str]] = set()
    for operation, metadata, document in items:
        index = _as_text(metadata.get("_index")) or "logs"
        id = _as_text(metadata.get("_id"))
        impossible = operation in ("update", "delete") or len(index.encode()) > 255
        if impossible or id == "" or (id is not None and len(id.encode()) > 512):
            told.append(400)
            continue
        try:
            row = decode_event(document, limits=LIMITS, now_us=NOW_US)
        except (NotJson, NotAnEvent):
            told.append(400)
            continue
        if "_id" in row.attributes or "_index" in row.attributes:
            told.append(400)
            continue
        if id is not None and (index, id) in known:
            told.append(409 if operation == "create" else 200)
            continue
        named = {"_index": index} if id is None else {"_index": index, "_id": id}
        if id is not None:
            known.add((index, id))
        events.append((row.message, row.level, row.host, row.timestamp, {**named, **row.attributes}))
        told.append(201)
    return events, told


@pytest.mark.slow
@given(bulk_bodies())
def test_every_body_is_read_as_plain_python_reads_it(made: tuple[bytes, list[Any]]) -> None:
    """Whatever way actions and documents are written: the same events and the same answers."""
    body, items = made
    events, told = _oracle(items)
    decoded = decode(body)
    columns = [decoded.events[name].to_pylist() for name in ("message", "level", "host")]
    columns += [decoded.events["timestamp"].cast("int64").to_pylist(), attributes(decoded)]
    assert list(zip(*columns, strict=True)) == events
    assert statuses(decoded) == told
    assert [next(iter(item)) for item in answer(decoded)["items"]] == [operation for operation, _, _ in items]
    letters = [document for (operation, _, document), status in zip(items, told, strict=True)
               if status == 400 and operation != "delete"]  # fmt: skip
    assert [each.raw for each in decoded.rejected] == letters
    for item, (_, metadata, _) in zip(answer(decoded)["items"], items, strict=True):
        [place] = item.values()
        assert place["_index"] == (_as_text(metadata.get("_index")) or "logs")
        if _as_text(metadata.get("_id")):
            assert place["_id"] == _as_text(metadata["_id"])


_GOOD = b"".join(body + (b"" if body.endswith(b"\n") else b"\n") for body, _ in SENT.values())


@given(st.data())
def test_no_mutilated_body_gets_further_than_bad_input(data: st.DataObject) -> None:
    """Cut, overwritten, repeated: it is answered item by item, or refused as a whole, and nothing else happens."""
    body = bytearray(_GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, max(len(body) - 1, 0)))
        length = data.draw(st.integers(0, 40))
        put = data.draw(st.binary(max_size=6) | st.sampled_from([b"\n", b'"', b"{", b"}", b"\\", b",", b"\xc3"]))
        body[start : start + length] = put
    try:
        decoded = decode(bytes(body))
    except BadInput:
        return
    told = statuses(decoded)
    assert decoded.events.num_rows == told.count(201)
    decoded.events.validate(full=True)
    assert len(decoded.rejected) <= told.count(400)


def test_documents_are_read_as_native_events_are() -> None:
    """The events are those of POST /logs, but for the two attributes."""
    documents = [document for body, _ in SENT.values() for document in body.strip().split(b"\n")[1::2]]
    native = decode_json(b"\n".join(documents), limits=LIMITS, now_us=NOW_US).events
    decoded = decode(b"\n".join(b'{"index":{"_index":"i"}}\n' + document for document in documents)).events
    for name in native.schema.names[:-1]:
        assert decoded[name].equals(native[name]), name
    expected = [[("_index", "i"), *each] for each in native["attributes"].to_pylist()]
    assert decoded["attributes"].to_pylist() == expected


def test_what_was_seen_may_be_more_than_was_asked() -> None:
    """Whoever knows what is durable may answer with all that it knows."""

    class Everything:
        def seen(self, documents: Sequence[bytes]) -> Collection[bytes]:
            return {*documents, b"another"}

    assert statuses(decode('{"create":{"_id":"1"}}\n{}\n{"create":{}}\n{}\n', seen=Everything())) == [409, 201]
