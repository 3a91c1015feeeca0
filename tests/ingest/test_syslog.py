"""What a syslog message means, and that the kernel reads it as plain Python does."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.config import IngestSettings
from tailrace.errors import Stop
from tailrace.ingest.decoders import decoder_of
from tailrace.ingest.json_logs import batch_of_slow_rows
from tailrace.ingest.syslog.decode import SYSLOG, decode_syslog, decode_syslog_stream
from tailrace.ingest.syslog.slow import read_message
from tailrace.ingest.syslog.time import read_zone, utc_of_civil, utc_us
from tailrace.ingest.text.syslog import FACILITIES
from tailrace.kernels.syslog.read import Bounds, parse
from tailrace.model.batch import EVENT_SCHEMA

LIMITS = IngestSettings()
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000


def event(raw: bytes, *, zone: tzinfo = UTC, now_us: int = NOW_US) -> dict[str, Any]:
    """The fields of the one event that have a value; its attributes beside the others."""
    decoded = decode_syslog(raw, limits=LIMITS, now_us=now_us, zone=zone)
    assert decoded.rejected == []
    decoded.events.validate(full=True)
    (row,) = decoded.events.to_pylist()
    attributes = dict(row.pop("attributes"))
    row.pop("observed_timestamp")
    row["timestamp"] = row["timestamp"].replace(tzinfo=UTC).isoformat().removesuffix("+00:00")
    return {name: value for name, value in row.items() if value is not None} | attributes


NOW_TEXT = NOW.isoformat().removesuffix("+00:00")

# RFC 5424, 6.5, and what real senders write. All of these are of 2003 or now: both are believed.
RFC5424 = {
    b"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xef\xbb\xbf'su root' failed for lonvick": {
        "timestamp": "2003-10-11T22:14:15.003000",
        "level": "FATAL",
        "service": "su",
        "host": "mymachine.example.com",
        "message": "'su root' failed for lonvick",
        "facility": "auth",
        "msgid": "ID47",
    },
    b"<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.": {
        "timestamp": "2003-08-24T12:14:15.000003",
        "level": "INFO",
        "service": "myproc",
        "host": "192.0.2.1",
        "message": "%% It's time to make the do-nuts.",
        "facility": "local4",
        "pid": "8710",
    },
    b'<165>1 2003-10-11T22:14:15.003Z h evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" '
    b'eventID="1011"][examplePriority@32473 class="high"]': {
        "timestamp": "2003-10-11T22:14:15.003000",
        "level": "INFO",
        "service": "evntslog",
        "host": "h",
        "message": "",
        "facility": "local4",
        "msgid": "ID47",
        "exampleSDID@32473.iut": "3",
        "exampleSDID@32473.eventSource": "Application",
        "exampleSDID@32473.eventID": "1011",
        "examplePriority@32473.class": "high",
    },
    b'<0>1 - - - - - [a b="\\"quoted\\" \\\\ \\] \\n and ] = \xc3\xa9"] t': {
        "timestamp": NOW_TEXT,
        "level": "FATAL",
        "message": "t",
        "facility": "kern",
        "a.b": '"quoted" \\ ] \\n and ] = é',
    },
    # Twice the same name, as RFC 5424, 7.2.1 has it.
    b'<15>1 - - - - - [origin ip="192.0.2.1" ip="192.0.2.129"][alone] t': {
        "timestamp": NOW_TEXT,
        "level": "DEBUG",
        "message": "t",
        "facility": "user",
        "origin.ip": "192.0.2.1,192.0.2.129",
        "alone": "",
    },
    # Not as it should be: without structured data, with damaged data, with a time that is none.
    b"<14>1 2026-11-21T11:00:00Z h app 12 - no data here": {
        "timestamp": "2026-11-21T11:00:00",
        "level": "INFO",
        "service": "app",
        "host": "h",
        "message": "no data here",
        "facility": "user",
        "pid": "12",
    },
    b'<14>1 2026-11-21T11:00:00Z h app - - [a b="c] t': {
        "timestamp": "2026-11-21T11:00:00",
        "level": "INFO",
        "service": "app",
        "host": "h",
        "message": '[a b="c] t',
        "facility": "user",
    },
    b"<14>1 yesterday h app - - - t": {
        "timestamp": NOW_TEXT,
        "level": "INFO",
        "service": "app",
        "host": "h",
        "message": "t",
        "facility": "user",
        "timestamp_original": "yesterday",
        "timestamp_adjusted": "unreadable",
    },
    b"<14>1 1970-01-01T00:00:00Z h app - - - t": {
        "timestamp": NOW_TEXT,
        "level": "INFO",
        "service": "app",
        "host": "h",
        "message": "t",
        "facility": "user",
        "timestamp_original": "1970-01-01T00:00:00Z",
        "timestamp_adjusted": "too_far_past",
    },
}

RFC3164 = {
    b"<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8": {
        "timestamp": "2026-10-11T22:14:15",
        "level": "FATAL",
        "service": "su",
        "host": "mymachine",
        "message": "'su root' failed for lonvick on /dev/pts/8",
        "facility": "auth",
    },
    # rsyslog's own format, and one of high precision.
    b"<30>2026-11-21T11:22:33.123456+01:00 web-1 nginx[812]: GET / 200": {
        "timestamp": "2026-11-21T10:22:33.123456",
        "level": "INFO",
        "service": "nginx",
        "host": "web-1",
        "message": "GET / 200",
        "facility": "daemon",
        "pid": "812",
    },
    b"<30>Nov  1 01:02:03.45 web-1 postfix/smtpd[1]:  two blanks": {
        "timestamp": "2026-11-01T01:02:03.450000",
        "level": "INFO",
        "service": "postfix/smtpd",
        "host": "web-1",
        "message": " two blanks",
        "facility": "daemon",
        "pid": "1",
    },
    b"<13>Nov 21 10:00:00 su[44]: without its host": {
        "timestamp": "2026-11-21T10:00:00",
        "level": "INFO",
        "service": "su",
        "message": "without its host",
        "facility": "user",
        "pid": "44",
    },
    b"Nov 21 10:00:00 host cron[44]: without its priority": {
        "timestamp": "2026-11-21T10:00:00",
        "service": "cron",
        "host": "host",
        "message": "without its priority",
        "pid": "44",
    },
    b"<13>Nov 21 10:00:00 host no program at all": {
        "timestamp": "2026-11-21T10:00:00",
        "level": "INFO",
        "host": "host",
        "message": "no program at all",
        "facility": "user",
    },
    # Cisco: IOS with and without what may stand in front, ASA.
    b"<189>29: *Mar  1 18:46:11.123: %SYS-5-CONFIG_I: Configured from console by vty2": {
        "timestamp": "2026-03-01T18:46:11.123000",
        "level": "INFO",
        "message": "%SYS-5-CONFIG_I: Configured from console by vty2",
        "facility": "local7",
        "sequence": "29",
        "msgid": "SYS-5-CONFIG_I",
    },
    b"<187>45: core-1: .Nov 21 09:00:00.5 CET: %LINK-3-UPDOWN: Interface Gi0/1, changed state to up": {
        "timestamp": "2026-11-21T08:00:00.500000",
        "level": "ERROR",
        "host": "core-1",
        "message": "%LINK-3-UPDOWN: Interface Gi0/1, changed state to up",
        "facility": "local7",
        "sequence": "45",
        "msgid": "LINK-3-UPDOWN",
    },
    b"<166>Nov 20 2026 10:00:00 fw-1 : %ASA-6-302013: Built outbound TCP connection": {
        "timestamp": "2026-11-20T10:00:00",
        "level": "INFO",
        "host": "fw-1",
        "message": "%ASA-6-302013: Built outbound TCP connection",
        "facility": "local4",
        "msgid": "ASA-6-302013",
    },
    # Python's SysLogHandler, with and without an `ident`.
    b"<14>something happened\x00": {
        "timestamp": NOW_TEXT,
        "level": "INFO",
        "message": "something happened",
        "facility": "user",
    },
    b"<11>payment: something happened": {
        "timestamp": NOW_TEXT,
        "level": "ERROR",
        "service": "payment",
        "message": "something happened",
        "facility": "user",
    },
    b"<11>Error: something happened": {
        "timestamp": NOW_TEXT,
        "level": "ERROR",
        "message": "Error: something happened",
        "facility": "user",
    },
    # Neither of both.
    b"<999>no priority": {"timestamp": NOW_TEXT, "message": "<999>no priority"},
    b"just text: with a colon": {"timestamp": NOW_TEXT, "message": "just text: with a colon"},
    b"<13>Feb 31 10:00:00 host app: no day": {
        "timestamp": NOW_TEXT,
        "level": "INFO",
        "message": "Feb 31 10:00:00 host app: no day",
        "facility": "user",
    },
    b"<13>Nov 21 10:00:00 h caf\xe9: not UTF-8": {
        "timestamp": "2026-11-21T10:00:00",
        "level": "INFO",
        "service": "caf\xe9",
        "host": "h",
        "message": "not UTF-8",
        "facility": "user",
        "encoding": "latin-1",
    },
}


@pytest.mark.parametrize("raw", [*RFC5424, *RFC3164])
def test_what_a_message_means(raw: bytes) -> None:
    """Every form that real senders write, with all of its fields."""
    assert event(raw) == (RFC5424 | RFC3164)[raw]


def test_a_time_without_a_year_is_of_the_nearest_year() -> None:
    """At new year the last evening's messages are of last year, and clocks that are ahead of next year."""
    just_after = int(datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC).timestamp()) * 1_000_000
    just_before = just_after - 10_000_000
    last, first = b"<13>Dec 31 23:59:58 h a: x", b"<13>Jan  1 00:00:02 h a: x"
    assert event(last, now_us=just_after)["timestamp"] == "2026-12-31T23:59:58"
    assert event(first, now_us=just_after)["timestamp"] == "2027-01-01T00:00:02"
    assert event(first, now_us=just_before)["timestamp"] == "2027-01-01T00:00:02"
    assert event(b"<13>Feb 29 10:00:00 h a: x")["timestamp"] == "2024-02-29T10:00:00"


def test_a_time_without_a_zone_is_of_the_zone_that_is_set() -> None:
    """An offset, or a name with its summer time; a zone that a message tells counts more."""
    assert event(b"<13>Nov 21 10:00:00 h a: x", zone=read_zone("+02:30"))["timestamp"] == "2026-11-21T07:30:00"
    berlin = read_zone("Europe/Berlin")
    assert event(b"<13>Nov 21 10:00:00 h a: x", zone=berlin)["timestamp"] == "2026-11-21T09:00:00"
    assert event(b"<13>Jul 21 10:00:00 h a: x", zone=berlin)["timestamp"] == "2026-07-21T08:00:00"
    assert event(b"<13>2026-07-21T10:00:00 h a: x", zone=berlin)["timestamp"] == "2026-07-21T08:00:00"
    assert event(b"<13>1 2026-07-21T10:00:00Z h a - - - x", zone=berlin)["timestamp"] == "2026-07-21T10:00:00"


@pytest.mark.parametrize("zone_name", ["UTC", "+05:30", "-05:00"])
def test_which_times_are_believed_does_not_depend_on_the_zone(zone_name: str) -> None:
    """An hour on both sides of now, by the clocks of the sender's zone."""
    limits = IngestSettings(timestamp_past_max_s=3600, timestamp_future_max_s=3600)
    zone = read_zone(zone_name)
    found = {}
    for minutes in range(-420, 421, 30):
        shown = (NOW + timedelta(minutes=minutes)).astimezone(zone)
        raw = f"<13>{shown:%b %d %H:%M:%S} h a: x".encode()
        (row,) = decode_syslog(raw, limits=limits, now_us=NOW_US, zone=zone).events.to_pylist()
        found[minutes] = dict(row["attributes"]).get("timestamp_adjusted")
    assert [minutes for minutes, adjusted in found.items() if adjusted is None] == [-60, -30, 0, 30, 60]
    assert (found[-90], found[90]) == ("too_far_past", "too_far_future")


@pytest.mark.parametrize("stamp", ["Dec 31 9999 23:59:60", "9999-12-31T23:59:60"])
@pytest.mark.parametrize("version", ["", "1 "])
def test_the_last_second_there_is_harms_nobody(stamp: str, version: str) -> None:
    """A leap second behind the last day of all calendars: such a message is an event, and so are those beside it."""
    stream = f"<13>{version}{stamp} h a - - - x\n<13>y\n".encode()
    for zone_name in ("UTC", "-11:00", "Europe/Berlin"):
        decoded = decode_syslog_stream(stream, limits=LIMITS, now_us=NOW_US, zone=read_zone(zone_name))
        assert decoded.events["message"].to_pylist()[-1] == "y"
        assert decoded.events.num_rows == 2


def test_a_zone_that_is_none_stops_the_start() -> None:
    """The error names the setting and says what it may be."""
    with pytest.raises(Stop, match=r"listeners\.syslog_timezone = 'Mars/Olympus' is not a zone"):
        read_zone("Mars/Olympus")


def test_many_civil_times_at_once_are_those_one_by_one() -> None:
    """Over a year of quarters of an hour, both changes of summer time included."""
    zone = read_zone("Australia/Lord_Howe")
    civil = np.arange(NOW_US, NOW_US + 366 * 86_400_000_000, 901_000_000)
    assert utc_of_civil(civil, zone).tolist() == [utc_us(each, zone) for each in civil.tolist()]


def test_an_empty_datagram_is_no_event_and_no_dead_letter() -> None:
    """Nothing was said, so nothing can be lost."""
    for raw in (b"", b"\n", b"\r\n", b"\0"):
        decoded = decode_syslog(raw, limits=LIMITS, now_us=NOW_US)
        assert (decoded.events.num_rows, decoded.rejected) == (0, [])


def test_a_message_past_a_limit_is_rejected_and_the_others_are_not() -> None:
    """By its length or its number of fields; the raw bytes are cut at the limit."""
    limits = IngestSettings(line_bytes_max=100, fields_max=4)
    fields = b"<13>1 - h a - - [x " + b" ".join(b'k%d="v"' % i for i in range(4)) + b"] t"
    stream = b"<13>first\n<13>" + b"x" * 200 + b"\n" + fields + b"\n<13>last\n"
    decoded = decode_syslog_stream(stream, limits=limits, now_us=NOW_US)
    assert decoded.events["message"].to_pylist() == ["first", "last"]
    assert [(each.line, len(each.raw)) for each in decoded.rejected] == [(2, 100), (3, len(fields))]
    assert "ingest.line_bytes_max" in decoded.rejected[0].reason
    assert decoded.rejected[1].reason == "more than 4 fields (ingest.fields_max)"


def test_a_dead_letter_can_be_replayed_when_the_limit_is_raised() -> None:
    """Its content type names its decoder, and its raw bytes are one message, line feeds and all."""
    decode = decoder_of(SYSLOG)
    decoded = decode(b"<13>two\nlines", limits=LIMITS, now_us=NOW_US)
    assert decoded.events["message"].to_pylist() == ["two\nlines"]


def test_messages_keep_their_order_whichever_way_they_are_read() -> None:
    """Those that the kernel leaves to plain Python stand where they came."""
    stream = b"".join(b"<13>Nov 21 10:00:00 h a: fast %d\n" % i if i % 3 else b"<13>slow %d\n" % i for i in range(50))
    decoded = decode_syslog_stream(stream, limits=LIMITS, now_us=NOW_US)
    assert [int(text.split()[-1]) for text in decoded.events["message"].to_pylist()] == list(range(50))


def test_the_kernel_reads_the_usual_forms_itself() -> None:
    """What it would leave to plain Python would still be right, and thirty times as slow."""
    usual = [raw for raw in [*RFC5424, *RFC3164] if raw.startswith((b"<34>", b"<165>", b"<30>2026"))]
    assert len(usual) == 5
    assert kernel_rows(usual) == len(usual)


def kernel_rows(messages: list[bytes]) -> int:
    ends = np.cumsum([len(raw) for raw in messages])
    starts = ends - np.array([len(raw) for raw in messages])
    bounds = Bounds(NOW_US, 0, NOW_US + 1, 0, 2026, NOW_US, 256)
    return len(parse(b"".join(messages), starts, ends, bounds, FACILITIES).times_us)


# -- against the twin

WORDS = [
    *(b"host", b"a.b", b"-", b"app", b"app[12]", b"app[12]:", b"app[x]:", b"[", b"]", b":", b"a:", b"%ASA-6-1:"),
    *(
        b"\xc3\xa9",
        b"\xc3\xa9:",
        b"\xff",
        b"",
        b"x=1",
        b"h\t",
        b"a:b",
        b"fe80::1",
        b"n" * 70 + b":",
        b"app[]:",
        b"a/b:",
    ),
]
STAMPS = [
    b"-",
    b"2026-11-21T10:00:00Z",
    b"2026-11-21t10:00:00Z",
    b"2026-11-21T10:00:00.123456789+01:00",
    b"2026-11-21T10:00:00.1234567891Z",
    b"2026-11-21T10:00:00",
    b"2026-11-21T10:00:00.5",
    b"2026-11-21T10:00:00-0100",
    b"2026-11-21T10:00:00:",
    b"2026-11-21T24:00:00Z",
    b"2026-11-21T23:59:60Z",
    b"1969-11-21T10:00:00Z",
    b"2026-13-21T10:00:00Z",
    b"2026-02-29T10:00:00Z",
    b"Nov 21 10:00:00",
    b"Nov  1 10:00:00",
    b"Nov 1 10:00:00",
    b"Nov 31 10:00:00",
    b"Nov  0 10:00:00",
    b"Nov 21 1 :00:00",
    b"Nov 21 24:00:00",
    b"Nov 21 10:60:00",
    b"Nov 22 12:00:01",
    b"Nov 22 11:59:59",
    b"Jan  1 00:00:00",
    b"Feb 29 10:00:00",
    b"Dec 31 23:59:59",
    b"Dec 31 23:59:60",
    b"Nov 21 10:00:00.5",
    b"Nov 21 10:00:00:",
    b"Nov 21 2025 10:00:00",
    b"Nox 21 10:00:00",
    b"nov 21 10:00:00",
]
DATA = [
    b"-",
    b"--",
    b'[a b="c"]',
    b'[a b="c"]-',
    b'[a b="c" d="e\\"f"][g h=""]',
    b'[a b="c"] [d e="f"]',
    b'[a b="c" b="d"]',
    b'[a.b c="d"][a b.c="e"]',
    b"[a]",
    b"[]",
    b'[ b="c"]',
    b'[a  b="c"]',
    b'[a b="c\\',
    b'[a b="c"',
    b"[a b=c]",
    b'[a ="c"]',
    b"[" + b"n" * 32 + b' b="c"]',
    b"[" + b"n" * 33 + b' b="c"]',
    b'[a b="\\\n"]',
    b'[a b="]"]',
    b'[a b="\\x\\]\\\\"]',
    b'[\xc3\xa9 \xc3\xa9="\xc3\xa9"]',
    b"[a " + b" ".join(b'k%d="v"' % n for n in range(70)) + b"]",
]
PRIORITIES = [b"<13>", b"<191>", b"<192>", b"<1>", b"<013>", b"<0013>", b"", b"<>", b"<1", b"<x>"]
NEW = [
    [b"<13>1 ", b"<14>"],
    STAMPS[1:2],
    [b"host"],
    [b"app"],
    [b"12"],
    [b"ID"],
    DATA[2:3],
    [b"text", b"", b"\xef\xbb\xbftext"],
]
OLD = [
    [b"<13>"],
    [b"Nov 21 10:00:00", b"2026-11-21T10:00:00+01:00"],
    [b"host"],
    [b"app[12]:", b"app:"],
    [b"text", b""],
]


def one_thing_else() -> list[bytes]:
    """Good messages, each with one part replaced by what may stand there, or must not."""
    found = []
    for good, odd in (
        (NEW, [[each + b"1 " for each in PRIORITIES], STAMPS, *[WORDS] * 4, DATA, WORDS]),
        (OLD, [PRIORITIES, STAMPS, *[WORDS] * 3]),
    ):
        for place, others in enumerate(odd):
            parts = [[*each, *others] if index == place else each for index, each in enumerate(good)]
            found += [chosen[0] + b" ".join(chosen[1:]) for chosen in itertools.product(*parts)]
    return found


def check_against_twin(messages: list[bytes], zone_name: str) -> None:
    zone = read_zone(zone_name)
    messages = [raw if raw.startswith(b"<") else b"<" + raw for raw in messages]
    stream = b"".join(b"%d %s" % (len(raw), raw) for raw in messages)
    decoded = decode_syslog_stream(stream, limits=LIMITS, now_us=NOW_US, zone=zone)
    rows = [read_message(raw, limits=LIMITS, now_us=NOW_US, zone=zone) for raw in messages]
    wanted = batch_of_slow_rows(rows, NOW_US).cast(EVENT_SCHEMA)
    if not decoded.events.equals(wanted):
        pairs = zip(messages, decoded.events.to_pylist(), wanted.to_pylist(), strict=True)
        raise AssertionError(next((raw, got, right) for raw, got, right in pairs if got != right))
    decoded.events.validate(full=True)


@pytest.mark.parametrize("zone_name", ["UTC", "Asia/Kolkata"])
def test_the_kernel_agrees_with_plain_python_where_one_thing_is_odd(zone_name: str) -> None:
    """Every field of every event, of good messages with each part in turn replaced by what is odd there."""
    messages = [message for raw in one_thing_else() if (message := raw.rstrip(b"\r\n\0"))]
    assert len(messages) > 500
    assert kernel_rows(messages) > 150
    check_against_twin(messages, zone_name)


MESSAGES = st.one_of(
    st.sampled_from(one_thing_else()).flatmap(
        lambda raw: st.tuples(st.integers(0, len(raw)), st.sampled_from([b"", b" ", b"\xff", b"]", b'"', b":"])).map(
            lambda change: raw[: change[0]] + change[1] + raw[change[0] :]
        )
    ),
    st.binary(max_size=40),
)


@pytest.mark.slow
@given(st.lists(MESSAGES.map(lambda raw: raw.rstrip(b"\r\n\0") or b"x"), min_size=1, max_size=8))
@example([b"<13>Nov 21 10:00:00 h a[1]: \xc3\xa9 " + b"x" * 100])
@example([b"<13>1 - - - - - -"])
def test_the_kernel_agrees_with_plain_python(messages: list[bytes]) -> None:
    """Every field of every event, of messages that are nearly right."""
    check_against_twin(messages, "UTC")


def test_mutated_messages_raise_nothing_and_lose_nothing() -> None:
    """Good streams with bytes changed, left out and doubled: every message that is not empty is told of."""
    chance = random.Random(5)
    good = b"\n".join([*RFC5424, *RFC3164])
    for _ in range(300):
        mutated = bytearray(good)
        for _ in range(chance.randrange(1, 30)):
            at = chance.randrange(len(mutated))
            mutated[at : at + chance.randrange(3)] = chance.choice(
                [b"", b"\xff", b"<", b'"', b"]", b"\n", b" ", b"9"]
            )
        body = bytes(mutated)
        decoded = decode_syslog_stream(body, limits=LIMITS, now_us=NOW_US)
        decoded.events.validate(full=True)
        assert decoded.events.num_rows >= 10
