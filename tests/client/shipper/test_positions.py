from __future__ import annotations

from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.client.shipper.positions import FileState, Head, Piece, Positions, head_of, key_of, new_id


def state(id: str, position: int = 0) -> FileState:
    return FileState(id, 1, 2, f"/var/log/{id}.log", f"{id}.log", head_of(b"first bytes"), position)


def test_what_was_begun_and_not_finished_is_known_after_a_crash(tmp_path: Path) -> None:
    """A second process finds the same files, positions and ranges under way; the lock went with the first."""
    first = Positions(tmp_path / "positions")
    assert first.is_new
    for id in ("a", "b"):
        first.note(state(id))
    done = first.begin([Piece("a", 0, 10), Piece("b", 0, 20)])
    under_way = first.begin([Piece("a", 10, 30)])
    first.finish(done)
    first.flush()
    first._lock.close()  # As the kernel does when a process dies; nothing else is done in order.
    second = Positions(tmp_path / "positions")
    assert not second.is_new
    assert second.files == {"a": state("a", 10), "b": state("b", 20)}
    assert second.unfinished == {under_way: (Piece("a", 10, 30),)}
    assert [each.position for each in second.read_states()] == [30, 20]
    second.finish(under_way)
    second.forget("b")
    second.close()
    third = Positions(tmp_path / "positions")
    assert (third.files, third.unfinished) == ({"a": state("a", 30)}, {})
    third.close()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """Two that sent the same files would each move the other's positions."""
    first = Positions(tmp_path / "positions")
    with pytest.raises(click.ClickException, match="in use by another"):
        Positions(tmp_path / "positions")
    first.close()
    Positions(tmp_path / "positions").close()


def test_a_key_is_that_of_its_ranges_alone() -> None:
    """The same ranges have it in any process; any other has another one."""
    pieces = [Piece("a", 0, 10), Piece("b", 0, 20)]
    assert key_of(pieces) == key_of(list(pieces))
    others = [pieces[:1], pieces[::-1], [Piece("a", 0, 11), pieces[1]], [Piece("c", 0, 10), pieces[1]]]
    assert len({key_of(pieces), *map(key_of, others)}) == 5


@pytest.mark.slow
def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    """Cut at any byte, what stands before the last record is all there."""
    path = tmp_path / "positions"
    first = Positions(path)
    first.note(state("a", 7))
    first.flush()
    before = path.stat().st_size
    first.note(state("a", 8))
    first.close()
    data = path.read_bytes()
    for size in range(before, len(data)):
        path.write_bytes(data[:size])
        torn = Positions(path)
        assert torn.files == {"a": state("a", 7)}
        torn.close()


@pytest.mark.parametrize("content", [b"hello\nthere\n", b"hello\n" * 3, b"hello\n", b"hello"])
def test_another_file_is_not_taken_for_a_journal_and_not_overwritten(content: bytes, tmp_path: Path) -> None:
    """A misspelt option must not cost somebody a file."""
    path = tmp_path / "positions"
    path.write_bytes(content)
    with pytest.raises(click.ClickException, match="no line of a journal"):
        Positions(path)
    assert path.read_bytes() == content


def test_a_journal_that_is_damaged_in_the_middle_is_told(tmp_path: Path) -> None:
    """One bit is enough; its line is named."""
    path = tmp_path / "positions"
    first = Positions(path)
    for id in ("a", "b"):
        first.note(state(id))
    first.close()
    data = bytearray(path.read_bytes())
    data[data.index(b"a.log")] ^= 1
    path.write_bytes(data)
    with pytest.raises(click.ClickException, match=r"positions:2 is no line"):
        Positions(path)


def test_the_journal_does_not_grow_for_ever(tmp_path: Path) -> None:
    """After many shipments it is written anew, and says the same."""
    path = tmp_path / "positions"
    positions = Positions(path)
    positions.note(state("a"))
    sizes = []
    for number in range(6000):
        pieces = [Piece("a", number, number + 1)]
        positions.unfinished[key := key_of(pieces)] = tuple(pieces)
        positions._write([{"sending": key, "pieces": [list(piece) for piece in pieces]}])
        positions.finish(key)
        if number % 500 == 0:
            positions.flush()
            sizes.append(path.stat().st_size)
    positions.close()
    assert max(sizes) < 1_500_000
    again = Positions(path)
    assert again.files["a"].position == 6000
    again.close()


def test_the_first_bytes_tell_a_file() -> None:
    """A file that grew has them still; of another, of a shorter one, it is seen."""
    head = head_of(b"first")
    assert head.fits(b"first and more")
    assert not head.fits(b"fir")
    assert not head.fits(b"worst and more")
    assert head_of(b"").fits(b"anything")
    assert head_of(b"x" * 5000) == Head(1024, head_of(b"x" * 1024).digest)
    assert len({new_id() for _ in range(100)}) == 100


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9), st.booleans()), max_size=25),
    crash_at=st.integers(0, 25),
)
def test_any_history_is_the_same_after_a_crash_at_any_record(
    steps: list[tuple[str, int, bool]], crash_at: int, tmp_path: Path
) -> None:
    """What a process that dies had noted is what the next one reads."""
    path = tmp_path / new_id()
    positions = Positions(path)
    ends = dict.fromkeys("abc", 0)
    for number, (id, size, finished) in enumerate(steps):
        if number == crash_at:
            positions.flush()
            known, under_way = positions.files, positions.unfinished
            positions._lock.close()
            positions = Positions(path)
            assert (positions.files, positions.unfinished) == (known, under_way)
        positions.note(positions.files.get(id) or state(id))
        key = positions.begin([Piece(id, ends[id], ends[id] + size)])
        ends[id] += size
        if finished:
            positions.finish(key)
    read = {each.id: each.position for each in positions.read_states()}
    assert read == {id: end for id, end in ends.items() if id in read}
    positions.close()
