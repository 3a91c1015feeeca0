"""OTLP requests, in protobuf and in JSON, as events and rejected records."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

from tailrace.config import IngestSettings
from tailrace.errors import BadInput, TooLarge
from tailrace.ingest.json_logs import batch_of_slow_rows
from tailrace.ingest.json_slow import Number
from tailrace.ingest.otlp import contexts, documents, wire
from tailrace.ingest.otlp import decode as otlp_decode
from tailrace.ingest.otlp.answers import response_json, response_protobuf, status_protobuf
from tailrace.ingest.otlp.contexts import Form
from tailrace.ingest.otlp.decode import (
    OtlpDecoded,
    decode_otlp_json,
    decode_otlp_protobuf,
    is_otlp_json,
    is_otlp_protobuf,
)
from tailrace.ingest.otlp.events import Context, row_of
from tailrace.ingest.otlp.wire import bytes_field, fields, number_of
from tailrace.model.batch import EVENT_SCHEMA
from tests.ingest.otlp_requests import (
    LIMITS,
    NOW_NS,
    NOW_US,
    as_json,
    log_record,
    meaning,
    request,
    requests,
)

FIXTURES = Path(__file__).parent / "otlp"
RECORDED_US = 1_795_291_100_000_000


def protobuf(body: bytes, limits: IngestSettings = LIMITS) -> OtlpDecoded:
    return _checked(decode_otlp_protobuf(body, limits=limits, now_us=NOW_US))


def document(body: bytes, limits: IngestSettings = LIMITS) -> OtlpDecoded:
    return _checked(decode_otlp_json(body, limits=limits, now_us=NOW_US))


def _checked(decoded: OtlpDecoded) -> OtlpDecoded:
    decoded.events.validate(full=True)
    assert decoded.events.schema.equals(EVENT_SCHEMA)
    return decoded


def events_of(decoded: OtlpDecoded) -> list[dict[str, Any]]:
    return [{**row, "attributes": dict(row["attributes"])} for row in decoded.events.to_pylist()]


def one(**record: Any) -> dict[str, Any]:
    """The event of one record, which both encodings agree on."""
    message = request([log_record(**record)])
    (event,) = events_of(protobuf(message.SerializeToString()))
    assert events_of(document(as_json(message))) == [event]
    return event


def plainly(form: Form, scopes: Iterable[tuple[bytes, bytes, list[bytes]]]) -> list[dict[str, Any]]:
    """The events of these resources, scopes and records by plain Python alone, the twin of the kernels."""
    rows = []
    for resource, scope, records in scopes:
        context = form.read_scope(scope, form.read_resource(resource, limits=LIMITS), limits=LIMITS)
        read = [form.read_record(record, limits=LIMITS) for record in records]
        rows += [row_of(record, context, limits=LIMITS, now_us=NOW_US) for record in read]
    events: list[dict[str, Any]] = batch_of_slow_rows(rows, NOW_US).to_pylist()
    return events


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(requests())
def test_both_paths_mean_what_the_official_parser_reads(message: ExportLogsServiceRequest) -> None:
    """Kernel and plain Python together, and plain Python alone, give what OpenTelemetry's own classes say."""
    decoded = protobuf(message.SerializeToString())
    assert decoded.rejected == []
    events = decoded.events.to_pylist()
    assert events == meaning(message, number_of).to_pylist()
    scopes = [
        (logs.resource, each.scope, each.log_records) for logs in message.resource_logs for each in logs.scope_logs
    ]
    assert events == plainly(
        wire,
        (
            (resource.SerializeToString(), scope.SerializeToString(), [each.SerializeToString() for each in records])
            for resource, scope, records in scopes
        ),
    )


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(requests())
def test_json_says_the_same_but_for_the_digits_of_numbers(message: ExportLogsServiceRequest) -> None:
    """By both paths, and by plain Python alone. Numbers keep the digits they were written with: here Python's."""

    def written(value: float) -> Any:
        text = json.dumps(value)
        names = {"NaN": "NaN", "Infinity": "Infinity", "-Infinity": "-Infinity"}
        return names.get(text) or Number(text)

    def dumped(part: Any) -> bytes:
        return b"" if part is None else json.dumps(part).encode()

    body = as_json(message)
    decoded = document(body)
    assert decoded.rejected == []
    events = decoded.events.to_pylist()
    assert events == meaning(message, written).to_pylist()
    assert events == plainly(
        documents,
        (
            (dumped(logs.get("resource")), dumped(each.get("scope")), list(map(dumped, each.get("logRecords", []))))
            for logs in json.loads(body).get("resourceLogs", [])
            for each in logs.get("scopeLogs", [])
        ),
    )


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(requests(), st.data())
def test_a_damaged_request_is_refused_or_read_and_nothing_else(message: ExportLogsServiceRequest, data: Any) -> None:
    """Whatever bytes are changed: `BadInput`, or every record is an event or rejected."""
    for whole, decode in ((message.SerializeToString(), protobuf), (as_json(message), document)):
        body = bytearray(whole)
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.integers(0, max(len(body) - 1, 0)))
            change = data.draw(st.sampled_from(["set", "cut", "insert"]))
            byte = data.draw(st.integers(0, 255))
            if change == "set" and body:
                body[place] = byte
            elif change == "cut":
                del body[place : place + data.draw(st.integers(1, 5))]
            else:
                body.insert(place, byte)
        try:
            decoded = decode(bytes(body))
        except BadInput:
            continue
        assert decoded.rejected_records == len(decoded.rejected)


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=60))
@example(b"\x0a\x06\x12\x04\x12\x02\x38\x01")
def test_what_protobuf_refuses_is_never_an_event(body: bytes) -> None:
    """A body of noise that the official parser takes for a request has as many records here, and no other has any."""
    try:
        official = ExportLogsServiceRequest.FromString(body)
    except DecodeError:
        official = None
    try:
        decoded = protobuf(body)
    except BadInput:
        assert official is None
        return
    if official is not None:
        count = sum(len(scope.log_records) for logs in official.resource_logs for scope in logs.scope_logs)
        assert decoded.events.num_rows + decoded.rejected_records == count


def test_what_the_sdk_for_python_has_sent() -> None:
    """Recorded: a text with attributes, a body that is an object, an exception with its stack."""
    decoded = decode_otlp_protobuf((FIXTURES / "python.protobuf").read_bytes(), limits=LIMITS, now_us=RECORDED_US)
    paid, structured, broke = events_of(_checked(decoded))
    assert [event["level"] for event in (paid, structured, broke)] == ["INFO", "WARN", "ERROR"]
    assert [event["message"] for event in (paid, structured, broke)] == ["paid 3", "structured", "it broke"]
    assert (paid["service"], paid["host"]) == ("checkout", "web-1")
    assert paid["attributes"]["resource.process.command_args"] == '["python","app.py"]'
    assert [paid["attributes"][name] for name in ("order", "ratio", "tags", "ok")] == [
        "7",
        "0.5",
        '["a","b"]',
        "true",
    ]
    assert structured["attributes"]["body.user.id"] == "5"
    assert broke["attributes"]["exception.type"] == "ZeroDivisionError"
    assert broke["attributes"]["exception.stacktrace"].startswith("Traceback (most recent call last):\n")


def test_what_the_sdk_for_javascript_has_sent() -> None:
    """Recorded: the same, with an event's name, bytes, a number past 64 bits, and escapes."""
    decoded = decode_otlp_json((FIXTURES / "javascript.json").read_bytes(), limits=LIMITS, now_us=RECORDED_US)
    paid, structured, listed = events_of(_checked(decoded))
    assert [event["message"] for event in (paid, structured, listed)] == ["paid 3", "structured", '[1,null,"x"]']
    assert paid["timestamp"].microsecond == 943_000
    assert paid["attributes"]["é\n"] == "\x01"
    assert (structured["level"], structured["attributes"]["event_name"]) == ("WARN", "ev")
    assert (listed["attributes"]["bytes"], listed["attributes"]["big"]) == ("AQI=", "12345678901234567000")
    assert "nothing" not in listed["attributes"]


def test_a_record_of_a_usual_sdk() -> None:
    """Every field in its place; what the level says is not said twice."""
    message = request(
        [
            log_record(
                "paid",
                {"http.status_code": 200, "ratio": 0.5, "ok": True, "code.lineno": -3},
                severity_number=17,
                severity_text="ERROR",
                trace_id=bytes(range(16)),
                span_id=bytes(range(8)),
            )
        ],
        {"service.name": "checkout", "host.name": "web-1", "k8s.pod.name": "checkout-5d"},
        "my.library",
    )
    (event,) = events_of(protobuf(message.SerializeToString()))
    assert (event["level"], event["service"], event["host"], event["message"]) == (
        "ERROR",
        "checkout",
        "web-1",
        "paid",
    )
    assert event["trace_id"] == "000102030405060708090a0b0c0d0e0f"
    assert event["span_id"] == "0001020304050607"
    assert event["attributes"] == {
        "resource.k8s.pod.name": "checkout-5d",
        "scope.name": "my.library",
        "http.status_code": "200",
        "ratio": "0.5",
        "ok": "true",
        "code.lineno": "-3",
    }


@pytest.mark.parametrize(
    ("body", "message", "attributes"),
    [
        ("text", "text", {}),
        (None, "", {}),
        (7, "7", {}),
        (True, "true", {}),
        (0.25, "0.25", {}),
        (b"\x00\xff", "AP8=", {}),
        (["a", 1, None, {"b": True}], '["a",1,null,{"b":true}]', {}),
        ({"a": {"b": 1}, "c": "d"}, '{"a":{"b":1},"c":"d"}', {}),
        ({"message": "m", "a": {"b": 1}}, "m", {"body.a.b": "1"}),
        ({"MESSAGE": "journal", "PRIORITY": "6"}, "journal", {"body.PRIORITY": "6"}),
        ({"message": 1, "a": "b"}, "1", {"body.a": "b"}),
        ({"message": True}, '{"message":true}', {}),
    ],
)
def test_bodies(body: Any, message: str, attributes: dict[str, str]) -> None:
    """A body of any kind is a message; an object that has one gives it, and the rest as attributes."""
    event = one(body=body)
    assert (event["message"], event["attributes"]) == (message, attributes)


@pytest.mark.parametrize(
    ("number", "text", "level", "attributes"),
    [
        (9, "", "INFO", {}),
        (9, "info", "INFO", {}),
        (10, "NOTICE", "INFO", {"severity_text": "NOTICE", "severity_number": "10"}),
        (21, "FATAL", "FATAL", {}),
        (0, "warning", "WARN", {"severity_text": "warning"}),
        (0, "loud", None, {"severity_text": "loud"}),
        (0, "", None, {}),
    ],
)
def test_severities(number: int, text: str, level: str | None, attributes: dict[str, str]) -> None:
    """The number says the level, else the text; what they say beyond it is kept."""
    event = one(severity_number=number, severity_text=text)
    assert (event["level"], event["attributes"]) == (level, attributes)


def test_severities_out_of_range_stay_numbers() -> None:
    """Nobody's level is lost: 99 has none, and is an attribute."""
    body = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":99,"severityText":"error"}]}]}]}'
    (event,) = events_of(document(body))
    assert (event["level"], event["attributes"]) == ("ERROR", {"severity_number": "99"})


def test_times() -> None:
    """The time, else the observed one, else the arrival; an absurd one is the arrival too, with a mark."""
    assert one(time_unix_nano=0, observed_time_unix_nano=NOW_NS - 5000)["timestamp"].microsecond == 999_995
    assert one(time_unix_nano=0)["timestamp"] == one()["observed_timestamp"]
    absurd = one(time_unix_nano=1)
    assert absurd["timestamp"] == absurd["observed_timestamp"]
    assert absurd["attributes"] == {"timestamp_original": "1", "timestamp_adjusted": "too_far_past"}


def test_identifiers_of_nothing_but_zeros_are_absent() -> None:
    """As the specification has it: all zeros are no identifier."""
    event = one(trace_id=bytes(16), span_id=bytes(8))
    assert (event["trace_id"], event["span_id"]) == (None, None)


def test_nested_attributes_have_dotted_names() -> None:
    """Arrays are JSON text, bytes base64, and an attribute without a value is absent."""
    event = one(attributes={"a": {"b": {"c": -1}}, "list": [1, "x"], "raw": b"\x01", "none": None})
    assert event["attributes"] == {"a.b.c": "-1", "list": '[1,"x"]', "raw": "AQ=="}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (log_record("x", [("k", 1), ("j", 2), ("k", "last")]), {"k": "last", "j": "2"}),
        (log_record("x", [("scope.name", "mine"), ("k", 1)]), {"scope.name": "mine", "k": "1"}),
        (log_record("x", [("flags", "mine")], flags=3), {"flags": "3"}),
        (log_record("x", [("attributes.k", 1), ("k", 2)]), {"k": "2"}),
    ],
)
def test_of_equal_names_the_last_one_counts(record: Any, expected: dict[str, str]) -> None:
    """In the place of the first, be it the scope's, the record's own, or one that is made of another field."""
    message = request([record], scope="library")
    for decoded in (protobuf(message.SerializeToString()), document(as_json(message))):
        (pairs,) = decoded.events["attributes"].to_pylist()
        assert pairs == list({"scope.name": "library", **expected}.items())


def test_text_that_is_not_utf8_is_kept() -> None:
    """A wrong byte is replaced; the event is there."""
    record = bytes_field(5, bytes_field(1, b"caf\xe9"))
    body = bytes_field(1, bytes_field(2, bytes_field(2, record)))
    (event,) = events_of(protobuf(body))
    assert event["message"] == "caf\ufffd"


def test_a_bad_record_is_rejected_alone_and_can_be_replayed() -> None:
    """Its raw bytes are a request with its resource and scope, and an event once the limit is raised."""
    small = IngestSettings(fields_max=3)
    records = [log_record("good", {"n": 1}), log_record("bad", dict.fromkeys("abcd", "x")), log_record("last")]
    message = request(records, {"service.name": "s"}, "library")
    for body, decode in ((message.SerializeToString(), protobuf), (as_json(message), document)):
        decoded = decode(body, small)
        assert [event["message"] for event in events_of(decoded)] == ["good", "last"]
        (rejected,) = decoded.rejected
        assert (rejected.line, rejected.reason) == (2, "more than 3 fields (ingest.fields_max)")
        (event,) = events_of(decode(rejected.raw))
        assert (event["message"], event["service"], event["attributes"]["scope.name"]) == ("bad", "s", "library")


def test_limits_hold() -> None:
    """A record too long, and one nested too deep, in either encoding."""
    deep: Any = "x"
    for _ in range(4):
        deep = [deep]
    message = request([log_record("x" * 900), log_record("ok", {"deep": deep})])
    small = IngestSettings(line_bytes_max=800, nesting_max=3)
    for body, decode in ((message.SerializeToString(), protobuf), (as_json(message), document)):
        reasons = [each.reason for each in decode(body, small).rejected]
        assert "(ingest.line_bytes_max)" in reasons[0]
        assert "(ingest.nesting_max)" in reasons[1]


def test_joined_names_are_measured_in_bytes() -> None:
    """A character may be four of them: what grows with each nested key grows four times as fast."""
    record = log_record("x", {"\U0001f600" * 250: {str(number): True for number in range(200)}})
    message = request([record])
    for body, decode in ((message.SerializeToString(), protobuf), (as_json(message), document)):
        (rejected,) = decode(body).rejected
        assert "nested keys, joined, are over 16 times" in rejected.reason


def test_a_resource_past_a_limit_rejects_its_records_alone() -> None:
    """Those of the other resource are events."""
    bad = request([log_record("bad")], dict.fromkeys("abcd", "x"))
    good = request([log_record("good")], {"a": "x"})
    body = bad.SerializeToString() + good.SerializeToString()
    decoded = protobuf(body, IngestSettings(fields_max=3))
    assert [event["message"] for event in events_of(decoded)] == ["good"]
    assert decoded.rejected[0].reason == "its resource or scope: more than 3 fields (ingest.fields_max)"


def test_many_bad_records_are_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The surplus is one request that has them all."""
    monkeypatch.setattr(otlp_decode, "REJECTED_MAX", 20)
    message = request([log_record("x", {"a": 1, "b": 2})] * 25, {"service.name": "s"})
    for body, decode in ((message.SerializeToString(), protobuf), (as_json(message), document)):
        decoded = decode(body, IngestSettings(fields_max=2))
        assert (decoded.rejected_records, len(decoded.rejected)) == (25, 21)
        assert decode(decoded.rejected[-1].raw).events.num_rows == 5


def scopes_of_one_resource(names: list[str], attribute: str) -> ExportLogsServiceRequest:
    """A record in each scope."""
    message = request([], {"a": attribute})
    message.resource_logs[0].ClearField("scope_logs")
    for name in names:
        scope_logs = message.resource_logs[0].scope_logs.add()
        scope_logs.scope.name = name
        scope_logs.log_records.append(log_record(name))
    return message


def test_bad_records_of_many_scopes_are_not_longer_than_their_body() -> None:
    """A resource that is wrong stands once before all of its scopes; a copy for each could be a terabyte."""
    message = scopes_of_one_resource(["one", "two"] * 100, "x" * 20_000)
    for body, decode in ((message.SerializeToString(), protobuf), (as_json(message), document)):
        rejected = decode(body, IngestSettings(line_bytes_max=10_000)).rejected
        assert len(rejected) < 100
        assert len(rejected[-1].raw) < 1.1 * len(body)
        told = [event["message"] for each in rejected for event in events_of(decode(each.raw))]
        assert told == ["one", "two"] * 100


def test_a_resource_is_read_once_for_all_its_scopes(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many they are: a megabyte for each of thousands would be read and kept."""
    message = scopes_of_one_resource([str(number) for number in range(50)], "x")
    bodies = ((message.SerializeToString(), protobuf, wire), (as_json(message), document, documents))
    for body, decode, form in bodies:
        read: list[bytes] = []

        def counted(
            raw: bytes, *, limits: IngestSettings, whole: Any = form.read_resource, to: Any = read
        ) -> Context:
            to.append(raw)
            context: Context = whole(raw, limits=limits)
            return context

        monkeypatch.setattr(form, "read_resource", counted)
        assert len(events_of(decode(body * 2))) == 100
        assert len(read) == 1


def test_more_scopes_than_a_request_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their number, and by what the attributes of their resource take; of equal ones there is one."""
    many = scopes_of_one_resource([str(number) for number in range(11)], "x" * 100).SerializeToString()
    monkeypatch.setattr(contexts, "CONTEXTS_MAX", 10)
    with pytest.raises(TooLarge, match="more than 10 resources and scopes"):
        protobuf(many)
    assert protobuf(scopes_of_one_resource(["one"] * 11, "x").SerializeToString()).events.num_rows == 11
    monkeypatch.setattr(contexts, "CONTEXTS_MAX", 11)
    monkeypatch.setattr(contexts, "EXPANDED_BYTES_MAX", 1000)
    with pytest.raises(TooLarge, match="send them in several requests"):
        protobuf(many)


def test_a_resource_that_grows_with_every_record_is_refused() -> None:
    """A kilobyte of resource and a million records of two bytes would be a gigabyte."""
    record = bytes_field(2, b"")
    for name in ("a", "service.name"):
        resource = request([], {name: "x" * 1000}).resource_logs[0].resource.SerializeToString()
        body = bytes_field(1, bytes_field(1, resource) + bytes_field(2, record * 1_000_000))
        with pytest.raises(TooLarge, match="send them in several requests"):
            protobuf(body)


def test_more_records_than_a_request_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any array is made for them."""
    monkeypatch.setattr(otlp_decode, "EXPANDED_BYTES_MAX", 1000)
    for body, decode in (
        (request([log_record()] * 11).SerializeToString(), protobuf),
        (as_json(request([log_record()] * 11)), document),
    ):
        with pytest.raises(TooLarge, match="more than 10 log records"):
            decode(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[]", b"nothing", b'{"resourceLogs":{}}', b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}', b'{"a" 1}',
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},]}]}]}', b'{"resourceLogs":[1]}', b"{} x",
    ],
)  # fmt: skip
def test_a_document_of_another_shape_is_refused(body: bytes) -> None:
    """With the byte to look at."""
    with pytest.raises(BadInput, match=r"see byte \d+"):
        document(body)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"null", "a log record has to be an object"),
        (b'{"body":{"stringValue":[]}}', "stringValue has to be a string"),
        (b'{"timeUnixNano":"soon"}', "timeUnixNano has to be a whole number"),
        (b'{"attributes":{"a":1}}', "attributes have to be an array"),
        (b'{"body":{"stringValue":"\xff"}}', "invalid UTF-8"),
        (b'{"body":{"stringValue":"a" "b"}}', "not JSON"),
    ],
)
def test_a_wrong_record_of_a_document_is_rejected_alone(record: bytes, reason: str) -> None:
    """Its neighbours are events."""
    good = b'{"body":{"stringValue":"good"}}'
    body = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[%b, %b ,%b]}]}]}' % (good, record, good)
    decoded = document(body)
    assert [event["message"] for event in events_of(decoded)] == ["good", "good"]
    assert decoded.rejected[0].line == 2
    assert reason in decoded.rejected[0].reason


def test_documents_in_other_words() -> None:
    """snake_case, members in any order, blanks, numbers for texts and the other way round, names of enums, nulls."""
    body = b"""{ "resource_logs" : [ { "scope_logs" : [ { "log_records" : [
        { "attributes" : [ { "value" : { "int_value" : "5" }, "key" : "n" }, {"key":"none","value":null} ],
          "severity_number" : "SEVERITY_NUMBER_WARN2" , "time_unix_nano" : 1743156000000000000,
          "body" : { "string_value" : "caf\\u00e9" }, "trace_id": "0102030405060708090A0B0C0D0E0F10", "x" : [{}] }
      ], "scope" : null } ], "resource" : {"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]} } ],
      "more" : {"a":["}"]} } """
    (event,) = events_of(document(body))
    assert (event["message"], event["service"], event["level"]) == ("café", "s", "WARN")
    assert event["trace_id"] == "0102030405060708090a0b0c0d0e0f10"
    assert event["attributes"] == {"n": "5", "severity_number": "14"}


def test_of_equal_members_of_a_document_the_last_one_counts() -> None:
    """As JSON has it everywhere here; the lists are not joined."""
    values = [b'[{"key":"%b","value":{"intValue":1}}]' % key for key in (b"a", b"b")]
    body = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":%b,"attributes":%b}]}]}]}' % tuple(values)
    (event,) = events_of(document(body))
    assert event["attributes"] == {"b": "1"}


def test_nothing_is_a_success() -> None:
    """An empty request has no events and nothing wrong with it."""
    for decoded in (protobuf(b""), document(b"{}"), document(b""), document(b'{"resourceLogs":[]}')):
        assert (decoded.events.num_rows, decoded.rejected) == (0, [])


def test_answers_are_what_the_official_classes_read() -> None:
    """Empty when all is well; a partial success with a count and a reason else; a status with its code and delay."""
    good, bad = protobuf(b""), protobuf(bytes_field(1, bytes_field(2, bytes_field(2, b"\xff") * 300)))
    assert (response_protobuf(good), response_json(good)) == (b"", b"{}")
    partial = ExportLogsServiceResponse.FromString(response_protobuf(bad)).partial_success
    assert partial.rejected_log_records == 300
    assert partial.error_message.startswith("record 1: not a protobuf message")
    assert json.loads(response_json(bad))["partialSuccess"]["rejectedLogRecords"] == "300"
    status = Status.FromString(status_protobuf(8, "slow", retry_after_s=3))
    retry = RetryInfo()
    assert status.details[0].Unpack(retry)
    assert (status.code, status.message, retry.retry_delay.seconds) == (8, "slow", 3)


def test_requests_are_told_from_other_bytes() -> None:
    """By their lengths, or their first key; text and JSON are not taken for protobuf."""
    body = request([log_record()]).SerializeToString()
    assert is_otlp_protobuf(body)
    assert not any(map(is_otlp_protobuf, (b"", b"\n", b'\n{"a":1}', b"\n\n\n", b"\x0a\x00", body[:-1], b"hello\n")))
    assert is_otlp_json(as_json(request([log_record()])))
    assert not is_otlp_json(b'{"message":"\\"resourceLogs\\":"}')


def test_fields_past_the_end_are_told_with_their_place() -> None:
    """The reason names the byte."""
    with pytest.raises(BadInput, match="the field at byte 1 goes past its end"):
        list(fields(b"\x0a\x05ab"))
    with pytest.raises(BadInput, match="wire type 3 at byte 3"):
        list(fields(b"\x08\x01\x0b"))


def test_doubles_are_written_as_arrow_writes_them() -> None:
    """The kernel and its twin say the same of each."""
    numbers = [0.1, 1.0, -0.0, 1e300, 5e-324, float("nan"), float("inf"), 123456789.125]
    attributes = {str(i): value for i, value in enumerate(numbers)}
    (event,) = events_of(protobuf(request([log_record("x", attributes)]).SerializeToString()))
    expected = pa.array(numbers).cast(pa.string()).to_pylist()
    assert list(event["attributes"].values()) == expected == [str(number_of(value)) for value in numbers]
