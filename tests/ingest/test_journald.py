"""The Journal Export Format: fields of both kinds, entries in any parts, and entries that are too large."""

from __future__ import annotations

import random
import struct

import pytest

from tailrace.config import IngestSettings
from tailrace.ingest.decoded import Rejected
from tailrace.ingest.journald.decode import decode_journal
from tailrace.ingest.journald.framing import JournalFramer

NOW_US = 1_763_000_100_000_000
LIMITS = IngestSettings()

# Two entries as `journalctl -o export` and systemd-journal-upload write them.
JOURNAL = (
    b"__CURSOR=s=83de;i=1;b=0123;m=1;t=6437;x=2c05\n__REALTIME_TIMESTAMP=1763000000123456\n"
    b"__MONOTONIC_TIMESTAMP=2000\n_BOOT_ID=0123456789abcdef0123456789abcdef\nPRIORITY=3\n_HOSTNAME=web-1\n"
    b"SYSLOG_IDENTIFIER=sshd\n_SYSTEMD_UNIT=ssh.service\n_PID=77\nMESSAGE=it broke = badly\n\n"
    b"__CURSOR=s=83de;i=2;b=0123;m=2;t=6438;x=2c06\n__REALTIME_TIMESTAMP=1763000000123457\n_COMM=cat\n"
    b"MESSAGE\n" + struct.pack("<Q", 14) + b"two\n\nlines\xff=!\n\nTAG=a\nTAG=b\n\n"
)


def field(name: bytes, data: bytes) -> bytes:
    return name + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"


def test_what_an_entry_means() -> None:
    """Level, host, service and time are the event's own; the cursor is its id; the rest keep their names."""
    found = decode_journal(JOURNAL, limits=LIMITS, now_us=NOW_US)
    assert found.rejected == []
    first, second = found.events.to_pylist()
    assert (first["message"], first["level"], first["host"]) == ("it broke = badly", "ERROR", "web-1")
    assert first["service"] == "sshd"
    assert first["timestamp"].microsecond == 123456
    assert dict(first["attributes"]) == {
        "_index": "journald",
        "_id": "s=83de;i=1;b=0123;m=1;t=6437;x=2c05",
        "__MONOTONIC_TIMESTAMP": "2000",
        "_BOOT_ID": "0123456789abcdef0123456789abcdef",
        "_SYSTEMD_UNIT": "ssh.service",
        "_PID": "77",
    }
    assert (second["message"], second["service"]) == ("two\n\nlines\ufffd=!\n", "cat")
    assert dict(second["attributes"])["TAG"] == '["a","b"]'


def test_entries_come_in_any_parts() -> None:
    """Whole entries are handed on wherever the bytes are cut; what is too large is told, and never held."""
    limits = IngestSettings(line_bytes_max=1000)
    huge = b"__CURSOR=x\n" + field(b"COREDUMP", b"a=b\n\n" * 20_000) + b"MESSAGE=gone\n\n"
    long = b"MESSAGE=" + b"x" * 30_000 + b"\nPRIORITY=3\n\n"
    body = JOURNAL + huge + JOURNAL + long + huge + JOURNAL
    for seed in range(40):
        shuffled = random.Random(seed)
        framer, place, found = JournalFramer(limits.line_bytes_max), 0, b""
        too_large: list[Rejected] = []
        while place < len(body):
            count = shuffled.choice([1, 2, 50, 700])
            found += framer.feed(body[place : place + count])
            place += count
            too_large += framer.take_rejected()
            assert framer.held_bytes <= limits.line_bytes_max + 700
        assert found == JOURNAL * 3
        assert framer.broken is None
        assert [each.line for each in too_large] == [3, 6, 7]
        assert "ingest.line_bytes_max" in too_large[0].reason
        assert too_large[0].raw.startswith(b"__CURSOR=x\n")


@pytest.mark.parametrize(
    ("tail", "kept"),
    [
        (b"", None),
        (b"MESSAGE=la", b""),
        (b"MESSAGE=last\n", b""),
        (b"A=1\nMESSA", b"A=1\nMESSA"),
        (b"MESSAGE\n\x09\0", b"MESSAGE\n\x09\0"),
        (field(b"MESSAGE", b"last")[:-3], field(b"MESSAGE", b"last")[:-3]),
        (field(b"MESSAGE", b"last")[:-1], b""),
        (b"A=1\n" + field(b"COREDUMP", b"x" * 5000)[:2000], b"A=1\n"),
        (b"A=1\nMESSAGE=" + b"x" * 2000, b""),
    ],
)
@pytest.mark.parametrize("count", [1, 700, 10_000])
def test_the_body_ends(tail: bytes, kept: bytes | None, count: int) -> None:
    """The last entry may lack its blank line; what is cut off, or was too large all the same, is told."""
    framer, body = JournalFramer(1000), JOURNAL + tail
    found = b"".join(framer.feed(body[place : place + count]) for place in range(0, len(body), count))
    found += framer.finish()
    rejected = framer.take_rejected()
    if kept == b"" and len(tail) < 1000:
        assert (found, rejected) == (JOURNAL + tail.rstrip(b"\n") + b"\n\n", [])
    else:
        assert found == JOURNAL
        assert [each.line for each in rejected] == ([] if kept is None else [3])
        assert all(each.raw.startswith(kept or b"A=1\nMESSAGE=") for each in rejected)
    assert framer.held_bytes == 0


@pytest.mark.parametrize(
    "bad",
    [
        b"GET / HTTP/1.1\n\n",
        b"no name at all\n",
        b"MESSAGE\n" + struct.pack("<Q", 3) + b"abcd\n",
        b"X" * 70,
    ],
)
def test_what_is_not_the_format_ends_it(bad: bytes) -> None:
    """Entries before it are handed on, and the reason is told."""
    framer = JournalFramer(LIMITS.line_bytes_max)
    assert framer.feed(JOURNAL + bad) == JOURNAL
    assert "Journal Export Format" in str(framer.broken)
    assert framer.feed(JOURNAL) == b""


def test_an_entry_without_its_end() -> None:
    """The last blank line may be missing; bytes may not, and are rejected with what is before them of the entry."""
    found = decode_journal(JOURNAL + b"MESSAGE=last", limits=LIMITS, now_us=NOW_US)
    assert found.events.column("message").to_pylist()[-1] == "last"
    cut = decode_journal(JOURNAL[:-20], limits=LIMITS, now_us=NOW_US)
    assert cut.events.num_rows == 1
    assert "'MESSAGE' are cut off" in cut.rejected[0].reason
    assert cut.rejected[0].raw.startswith(b"__CURSOR=s=83de;i=2")


def test_an_entry_past_a_limit_is_rejected() -> None:
    """With the setting and its JSON; the others are kept."""
    many = b"".join(b"F%d=x\n" % number for number in range(300)) + b"\n"
    found = decode_journal(JOURNAL + many, limits=LIMITS, now_us=NOW_US)
    assert found.events.num_rows == 2
    assert "ingest.fields_max" in found.rejected[0].reason


@pytest.mark.slow
def test_damaged_bodies_never_raise() -> None:
    """By themselves and through the framer; what that hands on is never cut off."""
    shuffled = random.Random(3)
    for _ in range(1_500):
        body = bytearray(JOURNAL * 2)
        for _ in range(shuffled.randrange(1, 5)):
            body[shuffled.randrange(len(body))] = shuffled.choice((shuffled.randrange(256), 0x0A, 0x3D))
        decode_journal(bytes(body), limits=LIMITS, now_us=NOW_US).events.validate(full=True)
        framer = JournalFramer(1000)
        whole = framer.feed(bytes(body)) + framer.finish()
        found = decode_journal(whole, limits=LIMITS, now_us=NOW_US)
        assert not any("cut off" in each.reason for each in found.rejected)
