"""The table of dead letters: identity, order and bound."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from tailrace.errors import NotFound, Stop
from tailrace.model.dead_letter import DEAD_LETTER_SCHEMA
from tailrace.store.dead_letters import DeadLetter, DeadLetters


def letters(*raws: bytes, observed_us: int = 1, source: str = "POST /logs") -> pa.RecordBatch:
    rows = [
        {
            "observed_timestamp": observed_us,
            "source": source,
            "line": line,
            "reason": "not JSON",
            "content_type": "application/json",
            "raw": raw,
        }
        for line, raw in enumerate(raws, 1)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=DEAD_LETTER_SCHEMA)


def add(place: DeadLetters, batch: pa.RecordBatch, partition: int, offset: int) -> None:
    """The letters of one log record."""
    place.add(batch, [(partition, offset, row) for row in range(batch.num_rows)])


@pytest.fixture
def place(tmp_path: Path) -> DeadLetters:
    return DeadLetters(tmp_path / "dead-letters.db")


def ids(found: object) -> list[str]:
    assert isinstance(found, list)
    return [letter.id for letter in found]


def test_a_letter_comes_back_whole(place: DeadLetters) -> None:
    """Raw bytes of any kind, reason, place and content type."""
    add(place, letters(b"\x00\xff{", observed_us=1_763_726_400_123_456), 2, 17)
    assert place.get("2-17-0") == DeadLetter(
        id="2-17-0",
        observed_us=1_763_726_400_123_456,
        source="POST /logs",
        line=1,
        reason="not JSON",
        content_type="application/json",
        raw=b"\x00\xff{",
        replayed_as=None,
    )


def test_adding_the_same_record_again_changes_nothing(place: DeadLetters, tmp_path: Path) -> None:
    """As it happens when the worker reads the log again after a crash, in a new process."""
    add(place, letters(b"a", b"b"), 0, 5)
    place.close()
    again = DeadLetters(tmp_path / "dead-letters.db")
    add(again, letters(b"a", b"b"), 0, 5)
    assert again.count() == 2
    assert again.figures().bytes == 2 * (100 + len("POST /logsnot JSONapplication/json") + 1)


def test_the_newest_come_first_page_by_page(place: DeadLetters) -> None:
    """A page begins behind the id of the one before, even when that letter was dropped meanwhile."""
    for offset in (9, 10, 100):
        add(place, letters(b"x", b"y"), 0, offset)
    first = place.list(limit=3)
    assert ids(first) == ["0-100-1", "0-100-0", "0-10-1"]
    place.drop("0-10-1")
    assert ids(place.list(limit=10, before="0-10-1")) == ["0-10-0", "0-9-1", "0-9-0"]


def test_a_dropped_letter_is_gone(place: DeadLetters) -> None:
    """Neither listed nor counted; dropping or getting it again says that it is not there."""
    add(place, letters(b"a", b"b"), 0, 1)
    place.drop("0-1-0")
    assert ids(place.list(limit=9)) == ["0-1-1"]
    assert place.count() == 1
    for call in (place.drop, place.get):
        with pytest.raises(NotFound, match="0-1-0"):
            call("0-1-0")


@pytest.mark.parametrize("id", ["", "1-2", "a-b-c", "0-1-2-3", "-1-2-3", "0-99999999999999999999-0", "0-1-0\n"])
def test_an_id_that_is_none_is_not_found(place: DeadLetters, id: str) -> None:
    """Whatever people type."""
    for call in (place.get, place.drop):
        with pytest.raises(NotFound, match="looks like"):
            call(id)


def test_past_the_bound_the_oldest_go_and_are_counted(tmp_path: Path) -> None:
    """Bytes stay within the bound; the count of what had to go is kept over a restart."""
    place = DeadLetters(tmp_path / "d.db", bytes_max=5000)
    for offset in range(20):
        add(place, letters(b"x" * 866, observed_us=offset), 0, offset)
    assert ids(place.list(limit=9)) == ["0-19-0", "0-18-0", "0-17-0", "0-16-0", "0-15-0"]
    place.close()
    figures = DeadLetters(tmp_path / "d.db", bytes_max=5000).figures()
    assert (figures.letters, figures.bytes, figures.pushed_out) == (5, 5000, 15)


def test_the_newest_letter_stays_however_large(tmp_path: Path) -> None:
    """A bound smaller than one letter still keeps that one."""
    place = DeadLetters(tmp_path / "d.db", bytes_max=10)
    add(place, letters(b"a" * 1000), 0, 1)
    add(place, letters(b"b" * 1000, observed_us=2), 0, 2)
    assert ids(place.list(limit=9)) == ["0-2-0"]


def test_what_was_dropped_stays_dropped(place: DeadLetters, tmp_path: Path) -> None:
    """Also when a worker reads its log record again, days later and in another process."""
    add(place, letters(b"a", b"b"), 0, 1)
    place.drop("0-1-0")
    place.close()
    again = DeadLetters(tmp_path / "dead-letters.db")
    batch = letters(b"a", b"b", b"c")
    assert again.lacks(batch, [(0, 1, 0), (0, 1, 1), (0, 1, 2)]) == [2]
    add(again, batch, 0, 1)
    assert ids(again.list(limit=9)) == ["0-1-2", "0-1-1"]
    assert again.figures().letters == 2


def test_two_stores_may_refuse_the_same_event(place: DeadLetters) -> None:
    """Each refusal is a letter of its own, whose id names the store; they are dropped and replayed one by one."""
    for store in ("elasticsearch", "other"):
        place.add(letters(b"{}", source=f"{store}: logs-2025.03.28"), [(0, 7, 3)])
    assert ids(place.list(limit=9)) == ["0-7-3-other", "0-7-3-elasticsearch"]
    assert ids(place.list(limit=9, before="0-7-3-other")) == ["0-7-3-elasticsearch"]
    assert place.claim([("letter/0-7-3-other", 0, 50)]) == [True]
    assert place.get("0-7-3-other").replayed_as == "0-50"
    assert place.get("0-7-3-elasticsearch").replayed_as is None
    place.drop("0-7-3-other")
    assert ids(place.list(limit=9)) == ["0-7-3-elasticsearch"]


def test_a_letter_tells_what_it_was_replayed_as(place: DeadLetters) -> None:
    """The log record that has its claim."""
    add(place, letters(b"a", b"b"), 0, 1)
    assert place.claim([("letter/0-1-0", 0, 50), ("letter/0-1-0", 0, 51)]) == [True, False]
    assert [letter.replayed_as for letter in place.list(limit=9)] == [None, "0-50"]


def test_threads_and_processes_share_the_file(place: DeadLetters, tmp_path: Path) -> None:
    """Adds from several threads and another process are all there, and counted right."""
    code = """
import sys
from tests.store.test_dead_letters import DeadLetters, add, letters
place = DeadLetters(sys.argv[1])
for offset in range(20):
    add(place, letters(b"p"), 9, offset)
"""
    root = Path(__file__).parents[2]
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "dead-letters.db")], cwd=root)

    def run(partition: int) -> None:
        for offset in range(20):
            add(place, letters(b"t"), partition, offset)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert child.wait(timeout=60) == 0
    assert len(place.list(limit=1000)) == place.count() == 100


def test_a_file_that_is_something_else_stops_the_start(tmp_path: Path) -> None:
    """The Stop names the file and what to do."""
    (tmp_path / "a.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Stop, match=r"a\.db: the file of dead letters is damaged .*move it"):
        DeadLetters(tmp_path / "a.db")
    db = sqlite3.connect(tmp_path / "b.db")
    db.execute("CREATE TABLE theirs (x)")
    db.close()
    with pytest.raises(Stop, match="not a file of dead letters"):
        DeadLetters(tmp_path / "b.db")
