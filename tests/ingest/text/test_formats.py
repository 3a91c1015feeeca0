"""Streams of lines: what is learnt from many, carried from one to the next, and read by named formats."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.config import IngestSettings
from tailrace.errors import BadInput
from tailrace.ingest.text.columns import Format
from tailrace.ingest.text.formats import TextDecoder, guess_format

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
NOW_US = int(NOW.timestamp() * 1_000_000)


def _decode(*lines: str, format: Format | None = None, **options: Any) -> list[dict[str, Any]]:
    reference_us = options.pop("reference_us", None)
    decoder = TextDecoder(format, limits=IngestSettings(), **options)
    blob = "".join(line + "\n" for line in lines).encode()
    rows: list[dict[str, Any]] = decoder.decode(blob, now_us=NOW_US, reference_us=reference_us).events.to_pylist()
    return [{**row, "attributes": dict(row["attributes"])} for row in rows]


def _times(*lines: str, **options: Any) -> list[str]:
    return [event["timestamp"].strftime("%Y-%m-%d %H:%M:%S") for event in _decode(*lines, **options)]


def _levels(*lines: str) -> list[str | None]:
    return [event["level"] for event in _decode(*lines)]


def test_lines_of_a_stack_trace_have_the_time_of_the_line_before() -> None:
    """Also when they hold something like a time, and also across chunks."""
    decoder = TextDecoder(limits=IngestSettings())
    first = (
        b"2020-01-31 10:00:00 ERROR broke\njava.io.IOException: x\n\tat a.B.c(D.java:1)\n\t2019-01-01 00:00:00 y\n"
    )
    times = decoder.decode(first, now_us=NOW_US).events["timestamp"].to_pylist()
    times += decoder.decode(b"\t... 3 more\n", now_us=NOW_US).events["timestamp"].to_pylist()
    assert set(times) == {datetime(2020, 1, 31, 10, tzinfo=UTC)}


def test_lines_before_the_first_time_have_the_time_of_arrival() -> None:
    """There is nothing better to say of them."""
    assert _times("# header", "2020-01-31 10:00:00 x") == ["2026-11-21 12:00:00", "2020-01-31 10:00:00"]


def test_a_file_may_mix_several_kinds_of_lines() -> None:
    """Each kind is learnt when it comes."""
    lines = ["2020-01-31 10:00:00,123 INFO a"] * 300 + [
        "Jan 31 10:00:01 h p[1]: b",
        "[Fri Jan 31 10:00:02 2020] [error] c",
    ]
    assert _times(*lines, reference_us=NOW_US)[-2:] == ["2026-01-31 10:00:01", "2020-01-31 10:00:02"]
    assert _levels(*lines)[-1] == "ERROR"


def test_years_that_are_left_out_roll_over_new_year() -> None:
    """Each line is in the year that makes it the nearest past of the file's last change."""
    january = int(datetime(2026, 1, 3, tzinfo=UTC).timestamp() * 1_000_000)
    assert _times("Dec 31 23:59:59 h p: x", "Jan  1 00:00:01 h p: y", reference_us=january) == [
        "2025-12-31 23:59:59",
        "2026-01-01 00:00:01",
    ]


def test_a_leap_day_without_a_year_is_in_a_leap_year() -> None:
    """2024 was the last one before 2026."""
    assert _times("Feb 29 10:00:00 h p: x") == ["2024-02-29 10:00:00"]


@pytest.mark.parametrize(
    ("lines", "first"),
    [
        (("03/04/2020 10:00:00 x", "13/04/2020 10:00:00 x"), "2020-04-03 10:00:00"),
        (("03/04/2020 10:00:00 x", "03/13/2020 10:00:00 x"), "2020-03-04 10:00:00"),
        (("03/04/2020 10:00:00 x", "04/04/2020 10:00:00 x", "05/04/2020 10:00:00 x"), "2020-04-03 10:00:00"),
        (("03/04/2020 10:00:00 x", "03/05/2020 10:00:00 x", "03/06/2020 10:00:00 x"), "2020-03-04 10:00:00"),
        (("03.04.2020 10:00:00 x",), "2020-04-03 10:00:00"),
        (("03/04/2020 10:00:00 x",), "2020-03-04 10:00:00"),
        (("15/06/09 10:00:00 x", "15/06/10 10:00:00 x"), "2015-06-09 10:00:00"),
        (("15/06/09 10:00:00 x", "16/06/09 10:00:00 x", "17/06/09 10:00:00 x"), "2009-06-15 10:00:00"),
        (("[10.11 16:49:06] x", "[10.30 16:49:06] x"), "2026-10-11 16:49:06"),
        (("[10.11 16:49:06] x", "[30.10 16:49:06] x"), "2026-11-10 16:49:06"),
    ],
)
def test_the_order_of_day_and_month_is_learnt_from_the_file(lines: tuple[str, ...], first: str) -> None:
    """What cannot be a month is a day; else what changes most is the day; else custom decides."""
    assert _times(*lines)[0] == first


def test_the_zone_of_times_without_one_can_be_given() -> None:
    """A zone of the line's own goes first."""
    lines = ("2020-01-31 10:00:00 x", "2020-01-31 10:00:00Z x")
    assert _times(*lines, zone_offset_s=7200) == ["2020-01-31 08:00:00", "2020-01-31 10:00:00"]


@pytest.mark.slow
@settings(max_examples=25)
@given(st.datetimes(datetime(1990, 1, 1), datetime(2026, 11, 20)))
def test_any_time_comes_back_in_every_shape(time: datetime) -> None:
    """Written in five ways, read as the same microsecond or second."""
    second = time.replace(microsecond=0, tzinfo=UTC)
    lines = {
        time.strftime("%Y-%m-%d %H:%M:%S.%f"): time.replace(tzinfo=UTC),
        time.strftime("[%d/%b/%Y:%H:%M:%S +0000]"): second,
        time.strftime("%a %b %d %H:%M:%S %Y"): second,
        time.strftime("%Y%m%d-%H:%M:%S"): second,
        time.strftime("%b %d, %Y %I:%M:%S %p"): second,
    }
    for text, expected in lines.items():
        assert _decode(f"{text} hello")[0]["timestamp"] == expected, text


def test_a_column_of_levels_is_learnt_but_prose_in_the_same_place_is_not_one() -> None:
    """`Error` as the first word of a sentence is no level where other lines have other words there."""
    column = ["2016-09-28 04:30:30, Info    CBS    Loaded", "2016-09-28 04:30:31, Error   CSI    broke"]
    assert _levels(*column) == ["INFO", "ERROR"]
    prose = [f"2016-09-28 04:30:3{n} {word} opening the file" for n, word in enumerate(["Before", "While", "Error"])]
    assert _levels(*prose) == [None, None, None]


def test_letters_are_levels_only_where_nothing_else_stands() -> None:
    """A column of letters of which most are no levels is something else."""
    assert _levels("01-31 10:00:00.000 1 2 D a: x", "01-31 10:00:00.000 1 2 E b: x") == ["DEBUG", "ERROR"]
    assert _levels("2020-01-31 10:00:00 A x", "2020-01-31 10:00:00 F x", "2020-01-31 10:00:00 Q x") == [None] * 3


def test_rfc5424_gives_host_program_process_and_structured_data() -> None:
    """The example of RFC 5424, 6.5, with a quoted bracket in a parameter."""
    line = (
        "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 77 ID47 "
        '[exampleSDID@32473 iut="3" eventSource="App \\"x\\" \\]"][b@1 k="v"] An event'
    )
    (event,) = _decode(line)
    assert (event["level"], event["host"], event["service"]) == ("INFO", "mymachine.example.com", "evntslog")
    assert event["attributes"] == {
        "pid": "77",
        "msgid": "ID47",
        "facility": "local4",
        "exampleSDID@32473.iut": "3",
        "exampleSDID@32473.eventSource": 'App "x" ]',
        "b@1.k": "v",
    }


def test_rfc3164_gives_host_program_and_process() -> None:
    """Programs with a part in parentheses or a space in their name, too."""
    events = _decode(
        "Jun 14 15:16:01 combo sshd(pam_unix)[19939]: x",
        "Jul  1 09:00:55 mac Microsoft Word[14463]: x",
        "Jul  1 09:00:55 mac com.apple.xpc.launchd[1] (com.apple.x): x",
        "Jul  1 09:00:55 mac --- last message repeated 1 time ---",
    )
    assert [(event["host"], event["service"], event["attributes"].get("pid")) for event in events] == [
        ("combo", "sshd", "19939"),
        ("mac", "Microsoft Word", "14463"),
        ("mac", "com.apple.xpc.launchd", "1"),
        (None, None, None),
    ]


def test_access_logs_give_the_request_and_its_status() -> None:
    """The combined format; a request that is no HTTP is still an event."""
    events = _decode(
        '1.2.3.4 - bob [10/Oct/2020:13:55:36 +0200] "GET /a?b=c HTTP/1.1" 404 12 "http://r/" "curl \\"7\\""',
        '1.2.3.4 - - [10/Oct/2020:13:55:37 +0200] "\\x16\\x03" 400 - "-" "-"',
    )
    assert events[0]["attributes"] == {
        "remote": "1.2.3.4",
        "user": "bob",
        "method": "GET",
        "path": "/a?b=c",
        "protocol": "HTTP/1.1",
        "status": "404",
        "bytes": "12",
        "referer": "http://r/",
        "user_agent": 'curl \\"7\\"',
    }
    assert events[1]["attributes"] == {"remote": "1.2.3.4", "status": "400"}
    assert [event["timestamp"].hour for event in events] == [11, 11]


def test_logfmt_pairs_become_columns_and_attributes() -> None:
    """Quoted values are unescaped; the text of the message is not kept twice."""
    (event,) = _decode('ts=2020-01-31T10:00:00Z level=warn service=pay msg="a \\"b\\"" trace_id=7f k="1 2" n=3')
    assert (event["level"], event["service"], event["trace_id"]) == ("WARN", "pay", "7f")
    assert event["attributes"] == {"k": "1 2", "n": "3"}


def test_plain_reads_nothing_out() -> None:
    """The time is that of the arrival."""
    (event,) = _decode("2020-01-31 10:00:00 ERROR x", format="plain")
    assert (event["timestamp"], event["level"]) == (NOW, None)


def test_defaults_fill_only_what_the_line_leaves_out() -> None:
    """Service and host of the command line step back behind the line's own; attributes are added."""
    events = _decode("Jun 14 15:16:01 combo sshd[1]: x", "odd", service="s", host="h", attributes={"f": "g"})
    assert [(event["service"], event["host"]) for event in events] == [("sshd", "combo"), ("s", "h")]
    assert [event["attributes"]["f"] for event in events] == ["g", "g"]


@pytest.mark.parametrize(
    ("sample", "format"),
    [
        (b'{"a": 1}\n{"b": 2}\n', "json"),
        (b"<34>1 2003-10-11T22:14:15.003Z h a - - - x\n", "rfc5424"),
        (b"Jun 14 15:16:01 combo sshd[1]: x\n", "rfc3164"),
        (b'1.2.3.4 - - [10/Oct/2020:13:55:36 +0200] "GET / HTTP/1.1" 200 12\n', "access"),
        (b"time=2020-01-31T10:00:00Z level=info msg=x\n", "logfmt"),
        (b"2020-01-31 10:00:00 INFO a=b c=d\n", "found"),
        (b"", "found"),
    ],
)
def test_the_format_is_guessed_from_the_first_lines(sample: bytes, format: str) -> None:
    """Half of them must have it."""
    assert guess_format(sample) == format


def test_an_unknown_format_is_refused_by_name() -> None:
    """With the names that are known."""
    with pytest.raises(BadInput, match="access"):
        TextDecoder("csv", limits=IngestSettings())  # type: ignore[arg-type]
