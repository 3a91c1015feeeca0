"""The spool: from bytes on disk alone, between threads and between processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.handler.spool import Spool

MIB = 1 << 20


def take_all(spool: Spool) -> list[bytes]:
    lines: list[bytes] = []
    while (segment := spool.claim()) is not None:
        with segment:
            lines += segment.lines()
            segment.delete()
    return lines


@settings(max_examples=30)
@given(st.lists(st.lists(st.binary(max_size=50).filter(lambda text: b"\n" not in text), max_size=5), max_size=6))
def test_what_was_appended_comes_out_in_order(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[bytes]]
) -> None:
    """Any batches of lines, sealed or not, are read again as they were."""
    folder = tmp_path_factory.mktemp("spool")
    spool = Spool(folder, bytes_max=MIB)
    expected = [line + b"\n" for batch in batches for line in batch]
    for number, batch in enumerate(batches):
        assert spool.append([line + b"\n" for line in batch])
        if number % 2:
            spool.seal()
    assert take_all(spool) == expected
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_torn_last_line_is_left_out(tmp_path: Path, cut: int) -> None:
    """Wherever the writing of the second line was cut, the first comes out, and the second only when whole."""
    (tmp_path / "1-1-1.ndjson").write_bytes(b'{"a":1}\n{"bb":22}\n'[: 8 + cut])
    lines = take_all(Spool(tmp_path, bytes_max=MIB))
    assert lines == ([b'{"a":1}\n'] if cut < 10 else [b'{"a":1}\n', b'{"bb":22}\n'])


def test_the_bound_holds_for_the_folder(tmp_path: Path) -> None:
    """What would pass it is refused whole, segments of others counted in."""
    (tmp_path / "1-1-1.ndjson").write_bytes(b"x" * 59 + b"\n")
    spool = Spool(tmp_path, bytes_max=100)
    assert spool.append([b"y" * 39 + b"\n"])
    assert not spool.append([b"\n"])
    assert spool.used_bytes() == 100


def test_a_segment_in_use_is_nobody_elses(tmp_path: Path) -> None:
    """Neither a growing segment nor one being sent can be claimed by a second spool on the folder."""
    first, second = Spool(tmp_path, bytes_max=MIB), Spool(tmp_path, bytes_max=MIB)
    first.append([b"a\n"])
    assert second.claim() is None
    claimed = first.claim()
    assert claimed is not None
    assert second.claim() is None
    with claimed:
        pass
    assert take_all(second) == [b"a\n"]
    assert first.claim() is None


def test_segments_of_a_killed_process_are_taken_over_once(tmp_path: Path) -> None:
    """After `kill -9` its lock is gone; two heirs get each line once between them."""
    script = (
        "import os, signal, sys; from pathlib import Path; from tailrace.handler.spool import Spool\n"
        "spool = Spool(Path(sys.argv[1]), bytes_max=1 << 20)\n"
        "for number in range(6):\n"
        "    spool.append([b'%d\\n' % number])\n"
        "    number % 2 and spool.seal()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False).returncode == -9
    heirs = Spool(tmp_path, bytes_max=MIB), Spool(tmp_path, bytes_max=MIB)
    segments = [heirs[number % 2].claim() for number in range(4)]
    lines = [line for segment in segments if segment is not None for line in segment.lines()]
    assert lines == [b"%d\n" % number for number in range(6)]


def test_a_forked_child_holds_no_locks_of_its_parent(tmp_path: Path) -> None:
    """What the parent lets go of, others can claim, though the child lives on."""
    spool = Spool(tmp_path, bytes_max=MIB)
    spool.append([b"a\n"])
    claimed = spool.claim()
    assert claimed is not None
    spool.append([b"b\n"])
    go_on, end = os.pipe()
    child = os.fork()
    if child == 0:
        spool.forget_open_segments()
        os.close(end)
        os.read(go_on, 1)
        os._exit(0)
    os.close(go_on)
    try:
        with claimed:
            pass
        spool.seal()
        # The child may not have closed its copies yet.
        lines: list[bytes] = []
        while len(lines) < 2:
            lines += take_all(Spool(tmp_path, bytes_max=MIB))
        assert sorted(lines) == [b"a\n", b"b\n"]
    finally:
        os.close(end)
        os.waitpid(child, 0)


def test_a_write_that_fails_leaves_no_half_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full in the middle of a batch: the error is raised and the segment ends where it did before."""
    spool = Spool(tmp_path, bytes_max=MIB)
    spool.append([b"a\n"])
    real_write = os.write

    def half(descriptor: int, data: memoryview) -> int:
        if len(data) < 4:
            raise OSError(28, "No space left on device")
        return real_write(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space left"):
        spool.append([b"bbbbbbbb\n"])
    monkeypatch.undo()
    spool.append([b"c\n"])
    assert take_all(spool) == [b"a\n", b"c\n"]
