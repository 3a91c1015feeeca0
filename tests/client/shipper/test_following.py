"""Files that are written, rotated and removed under a `Fleet`: each line is read once."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailrace.client.shipper.finding import Patterns
from tailrace.client.shipper.fleet import Fleet
from tailrace.client.shipper.followed import PIECE_LINES_MAX
from tailrace.client.shipper.positions import Piece, Positions
from tailrace.client.shipper.reading import ShipReading

BYTES_MAX = 4 << 20


class Following:
    """A fleet with a clock of its own, whose shipments are acknowledged at once. `crash` begins it anew."""

    def __init__(self, folder: Path, *patterns: str, exclude: tuple[str, ...] = (), from_end: bool = False) -> None:
        self._folder = folder
        self._patterns = Patterns(tuple(str(folder / pattern) for pattern in patterns), exclude)
        self._from_end = from_end
        self.now_s = 1000.0
        self.said: list[str] = []
        self._open()

    def _open(self) -> None:
        self.positions = Positions(self._folder.parent / "positions")
        self.fleet = Fleet(
            self._patterns, ShipReading(), self.positions, from_end=self._from_end, say=self.said.append
        )
        self.fleet.resume(self.now_s)

    def crash(self) -> None:
        self.stop()
        self._open()

    def stop(self) -> None:
        self.positions.close()
        self.fleet.close()

    def take(self, *, bytes_max: int = BYTES_MAX, acknowledged: bool = True) -> list[str]:
        """What can be read now, without looking around."""
        found: list[str] = []
        while True:
            pieces, messages = [], []
            for file, start, read in self.fleet.read(bytes_max, now_s=self.now_s, now_us=0):
                pieces.append(Piece(file.state.id, start, start + read.end))
                messages += read.events.column("message").to_pylist()
            if not pieces:
                return found
            key = self.positions.begin(pieces)
            if acknowledged:
                self.positions.finish(key)
            found += messages

    def read(self, after_s: float = 2.0) -> list[str]:
        """What was written, a while later: looked around, and no line is waited for any more."""
        found: list[str] = []
        for _ in range(2):
            self.fleet.look_around(self.now_s)
            found += self.take()
            self.now_s += after_s
        self.fleet.look_around(self.now_s)
        return found + self.take()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    logs = tmp_path / "logs"
    logs.mkdir()
    return logs


@pytest.fixture
def following(folder: Path) -> Iterator[Following]:
    it = Following(folder, "*.log")
    yield it
    it.stop()


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_what_is_appended_is_read_once(folder: Path, following: Following) -> None:
    """Also in a file that comes later; a line without its end waits for it."""
    append(folder / "a.log", "one\ntw")
    assert following.read() == ["one"]
    append(folder / "a.log", "o\n")
    append(folder / "b.log", "three\n")
    assert sorted(following.read()) == ["three", "two"]
    assert following.read() == []


def test_an_event_is_waited_for_a_second(folder: Path, following: Following) -> None:
    """The last line may be gone on with; then it is taken as it is."""
    append(folder / "a.log", "2026-03-28 10:00:00 ERROR broke\n")
    following.fleet.look_around(following.now_s)
    assert following.take() == []
    append(folder / "a.log", "java.lang.Error: x\n\tat a.b(c)\n")
    following.now_s += 0.9
    assert following.take() == []
    following.now_s += 1.0
    assert following.take() == ["2026-03-28 10:00:00 ERROR broke\njava.lang.Error: x\n\tat a.b(c)"]


def test_a_renamed_file_is_read_to_its_end(folder: Path, following: Following) -> None:
    """Its writer goes on for a while; the new file is read beside it."""
    old = folder / "a.log"
    append(old, "one\n")
    assert following.read() == ["one"]
    moved = old.rename(folder / "a.log.1")
    append(moved, "late\n")
    append(old, "new\n")
    assert sorted(following.read()) == ["late", "new"]
    append(moved, "later\nunended")
    assert following.read() == ["later"]
    assert following.read(after_s=6.0) == ["unended"]


def test_a_removed_file_is_read_to_its_end(folder: Path, following: Following) -> None:
    """As long as it is open; then it is forgotten."""
    path = folder / "a.log"
    append(path, "one\n")
    assert following.read() == ["one"]
    with path.open("a") as file:
        path.unlink()
        file.write("two\nthr")
    assert following.read() == ["two"]
    assert following.read(after_s=6.0) == ["thr"]
    following.read(after_s=6.0)
    assert len(following.fleet) == 0
    assert following.positions.files == {}


@pytest.mark.parametrize("pattern", ["*.log", "*.log*"])
@pytest.mark.parametrize("restarted", [False, True])
def test_the_rest_of_a_file_that_was_cut_is_read_from_its_copy(pattern: str, restarted: bool, folder: Path) -> None:
    """Whether the copy matches a pattern or not, and also when nobody looked at the time."""
    following = Following(folder, pattern)
    path = folder / "a.log"
    append(path, "a first line of the first life\none\n")
    assert following.read()[1:] == ["one"]
    append(path, "two\n")
    if restarted:
        following.stop()
    shutil.copyfile(path, folder / "a.log.1")
    if not restarted:
        following.fleet.look_around(following.now_s)  # The copy is seen before the cut.
    os.truncate(path, 0)
    append(path, "another line, of the second life, longer than all of the first one\nthree\n")
    if restarted:
        following.crash()
    found = following.read()
    assert sorted(each for each in found if " " not in each) == ["three", "two"]
    assert len(found) == 3
    assert following.read(after_s=20.0) == []
    following.crash()
    assert following.read() == []
    following.stop()


def test_a_file_that_was_cut_without_a_copy_is_begun_anew(folder: Path, following: Following) -> None:
    """Shorter, or longer than before by the time that it is looked at; what was lost is told."""
    path = folder / "a.log"
    append(path, "the first line\n" * 100)
    assert len(following.read()) == 100
    path.write_text("shorter\n")
    assert following.read() == ["shorter"]
    path.write_text("the second line\n" * 200)
    assert following.read() == ["the second line"] * 200
    append(path, "unread\n")
    following.fleet.look_around(following.now_s)
    path.write_text("")
    following.read()
    assert "was cut, and its last 7 bytes were not read" in following.said[0]
    assert following.fleet.lost_bytes == 7


def test_folders_behind_links_are_those_folders(folder: Path, tmp_path: Path) -> None:
    """A file that is cut or renamed in one is found again."""
    (tmp_path / "link").symlink_to(folder)
    following = Following(folder, "../link/*.log")
    append(folder / "a.log", "a first line of the first life\none\n")
    append(folder / "b.log", "two\n")
    assert len(following.read()) == 3
    append(folder / "a.log", "three\n")
    append(folder / "b.log", "four\n")
    shutil.copyfile(folder / "a.log", folder / "a.log.1")
    os.truncate(folder / "a.log", 0)
    (folder / "b.log").rename(folder / "b.log.1")
    following.crash()
    assert sorted(following.read()) == ["four", "three"]
    following.stop()


def test_a_copy_of_a_file_that_is_not_cut_is_a_file(folder: Path) -> None:
    """After a while: somebody made it, and a pattern asks for it."""
    following = Following(folder, "*.log*")
    append(folder / "a.log", "the first line of it\none\n")
    assert following.read()[-1] == "one"
    shutil.copyfile(folder / "a.log", folder / "a.log.save")
    assert following.read() == []
    assert following.read(after_s=12.0)[-1] == "one"
    following.stop()


def test_a_copy_that_is_being_made_is_waited_for(folder: Path) -> None:
    """A large one takes a while, and a pattern matches it before all of it is there."""
    following = Following(folder, "*.log*")
    path, copy = folder / "a.log", folder / "a.log.1"
    append(path, "".join(f"line {number} of the first life\n" for number in range(1000)))
    assert len(following.read()) == 1000
    data = path.read_bytes()
    copy.write_bytes(data[: len(data) // 2])
    assert following.read() == []
    copy.write_bytes(data)
    path.write_text("line 0 of the second life\n")
    assert following.read() == ["line 0 of the second life"]
    assert following.read(after_s=20.0) == []
    following.stop()


def test_an_inode_that_is_used_again_is_another_file(folder: Path, following: Following) -> None:
    """Known by the first bytes, where the file system gives the same number to the next file."""
    path = folder / "a.log"
    append(path, "of the first file\n")
    assert following.read() == ["of the first file"]
    following.stop()
    path.write_text("of the second file, which has the same inode\n")
    following._open()
    assert following.read() == ["of the second file, which has the same inode"]


def test_generations_that_came_and_went_while_nobody_looked_are_read(folder: Path, following: Following) -> None:
    """Renamed three times between two looks: by their names and times; files of other names are left alone."""
    path = folder / "a.log"
    append(path, "zero\n")
    assert following.read() == ["zero"]
    following.stop()
    append(path, "one\n")
    for generation, text in enumerate(["two\n", "three\n", "four\n"]):
        for number in range(generation, 0, -1):
            (folder / f"a.log.{number}").rename(folder / f"a.log.{number + 1}")
        path.rename(folder / "a.log.1")
        path.write_text(text)
    (folder / "a.log.offset").write_text("17\n")
    (folder / "a.log.4.gz").write_bytes(b"\x1f\x8b")
    following._open()
    assert sorted(following.read()) == ["four", "one", "three", "two"]
    following.crash()
    assert following.read(after_s=700.0) == []
    following.crash()
    assert following.read() == []


def test_a_generation_that_was_read_is_not_read_again(folder: Path, following: Following) -> None:
    """Also when it got its last line after the next one was begun, as daemons tell of the rotation, and that one was
    left empty.
    """
    path = folder / "a.log"
    append(path, "one\n")
    assert following.read() == ["one"]
    moved = path.rename(folder / "a.log.1")
    path.touch()
    following.fleet.look_around(following.now_s)
    append(moved, "rotated\n")
    os.utime(moved, ns=(0, path.stat().st_mtime_ns + 1_000_000))
    assert following.read() == ["rotated"]
    following.read(after_s=700.0)
    moved.rename(folder / "a.log.2")
    path.rename(folder / "a.log.1")
    append(path, "new\n")
    assert [*following.read(), *following.read()] == ["new"]


@pytest.mark.parametrize("crash", [False, True])
def test_a_file_that_was_seen_once_is_read_whatever_becomes_of_its_name(crash: bool, folder: Path) -> None:
    """Not a byte of it was read when it was renamed, twice, or copied and cut."""
    following = Following(folder, "*.log")
    append(folder / "a.log", "of the first file, which was renamed\n")
    append(folder / "b.log", "of the second file, which was cut\n")
    following.fleet.look_around(following.now_s)
    for number in (1, 2):
        if number == 2:
            (folder / "a.log.1").rename(folder / "a.log.2")
        (folder / "a.log").rename(folder / "a.log.1")
        append(folder / "a.log", f"of a new file, the {number}. one\n")
    shutil.copyfile(folder / "b.log", folder / "b.log.1")
    os.truncate(folder / "b.log", 0)
    if crash:
        following.crash()
    found = [*following.read(), *following.read()]
    assert sorted(line.split(",")[0] for line in found) == [
        "of a new file",
        "of a new file",
        "of the first file",
        "of the second file",
    ]
    following.stop()


def test_what_was_under_way_in_a_crash_is_not_read_again(folder: Path, following: Following) -> None:
    """It is sent again by its range; reading goes on behind it."""
    append(folder / "a.log", "one\ntwo\n")
    following.fleet.look_around(following.now_s)
    following.now_s += 2
    assert following.take(acknowledged=False) == ["one", "two"]
    append(folder / "a.log", "three\n")
    following.crash()
    [[piece]] = following.positions.unfinished.values()
    (folder / "a.log").rename(folder / "a.log.1")
    again = following.fleet.read_again(piece, now_us=0)
    assert again is not None
    assert again.events.column("message").to_pylist() == ["one", "two"]
    assert following.read() == ["three"]
    assert following.fleet.read_again(Piece(piece.id, 0, 1000), now_us=0) is None


def test_links_are_followed_and_each_file_is_read_once(folder: Path, tmp_path: Path) -> None:
    """Two links and the file itself; a link that leads to another file later."""
    following = Following(folder, "*.log", "../target*")
    target, other = tmp_path / "target.1", tmp_path / "other"
    append(target, "one\n")
    for name in ("a.log", "b.log"):
        (folder / name).symlink_to(target)
    assert following.read() == ["one"]
    append(other, "two\n")
    (folder / "a.log").unlink()
    (folder / "a.log").symlink_to(other)
    append(target, "three\n")
    assert sorted(following.read()) == ["three", "two"]
    (folder / "loop.log").symlink_to(folder / "loop.log")
    (folder / "nowhere.log").symlink_to(folder / "nothing")
    assert following.read() == []
    following.stop()


def test_links_that_lead_upwards_do_not_lead_on_for_ever(folder: Path) -> None:
    """Two of them are enough for more paths than anybody can look through; a file is found by its own name."""
    (folder / "sub").mkdir()
    append(folder / "sub" / "a.log", "one\n")
    for name in ("again", "sub/up", "sub/upper"):
        (folder / name).symlink_to(folder)
    found = list(Patterns((str(folder / "**" / "*.log"), str(folder / "**")), ()).find())
    assert [each.path for each in found] == [folder / "sub" / "a.log"]


@pytest.mark.parametrize("pattern", ["**/*.log", "deep/**/*.log", "**/er/**", "*/**/e*", "[[]x]/**", "**"])
def test_patterns_match_what_glob_says(pattern: str, folder: Path) -> None:
    """Below folders with hidden ones between them, and with names that look like patterns."""
    for name in ("a.log", "deep/b.log", "deep/er/c.log", "deep/er/est/d.log", ".hid/e.log", "[x]/e", "[x]/y/e.log"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        append(folder / name, "x\n")
    expected = {path for path in glob.glob(str(folder / pattern), recursive=True) if os.path.isfile(path)}
    assert expected
    assert {str(found.path) for found in Patterns((str(folder / pattern),)).find()} == expected


def test_a_link_names_its_file_after_a_restart_too(folder: Path, tmp_path: Path) -> None:
    """The journal knows only the file's own name; the events' service and path are those of the link."""
    append(tmp_path / "data-7", "one\n")
    (folder / "shop.log").symlink_to(tmp_path / "data-7")
    following = Following(folder, "*.log")
    assert following.read() == ["one"]
    following.crash()
    append(tmp_path / "data-7", "two\n")
    following.fleet.look_around(following.now_s)
    following.now_s += 2
    [(_, _, read)] = following.fleet.read(BYTES_MAX, now_s=following.now_s, now_us=0)
    [event] = read.events.to_pylist()
    assert event["service"] == "shop"
    assert dict(event["attributes"])["log.file.path"] == str(folder / "shop.log")
    following.stop()


def test_what_is_left_out_is_not_read(folder: Path) -> None:
    """By the whole path or the name; compressed files, folders, pipes and hidden files too."""
    following = Following(folder, "**", exclude=("*/sub/*", "not-*"))
    (folder / "sub").mkdir()
    (folder / "deep" / "er").mkdir(parents=True)
    os.mkfifo(folder / "pipe.log")
    for name in ("sub/a.log", "not-b.log", "c.log.gz", "d.log.1.ZST", ".hidden", "deep/er/e.log"):
        append(folder / name, f"{name}\n")
    assert following.read() == ["deep/er/e.log"]
    following.stop()


def test_a_name_with_brackets_is_a_name_where_there_is_such_a_file(folder: Path) -> None:
    """Shells hand names on as they are."""
    append(folder / "[a].log", "one\n")
    append(folder / "a.log", "two\n")
    following = Following(folder, "[a].log")
    assert following.read() == ["one"]
    following.stop()


def test_a_name_may_have_any_bytes(folder: Path, following: Following) -> None:
    """Also after a crash; in the event's path they are shown."""
    path = Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.log"))
    append(path, "one\n")
    following.fleet.look_around(following.now_s)
    following.now_s += 2
    [(_, _, read)] = following.fleet.read(BYTES_MAX, now_s=following.now_s, now_us=0)
    [event] = read.events.to_pylist()
    assert dict(event["attributes"])["log.file.path"].endswith(r"/caf\xe9.log")
    following.crash()
    assert following.read() == ["one"]
    following.crash()
    append(path, "two\n")
    assert following.read() == ["two"]


def test_from_the_end_means_at_the_first_start(folder: Path) -> None:
    """The last line without an end is read whole, also the only one; later files are read from their start."""
    append(folder / "a.log", "one\ntw")
    append(folder / "d.log", "si")
    following = Following(folder, "*.log", from_end=True)
    assert following.read() == []
    append(folder / "a.log", "o\n")
    append(folder / "b.log", "three\n")
    append(folder / "d.log", "x\n")
    assert sorted(following.read()) == ["six", "three", "two"]
    following.stop()
    append(folder / "a.log", "four\n")
    append(folder / "c.log", "five\n")
    following._open()
    assert sorted(following.read()) == ["five", "four"]
    following.stop()


def test_a_hole_that_a_writer_left_is_passed_over(folder: Path, following: Following) -> None:
    """A program that does not append goes on at its old place after the cut."""
    path = folder / "a.log"
    with path.open("w") as file:
        file.write("the first life\n" * 10_000)
        file.flush()
        assert len(following.read()) == 10_000
        os.truncate(path, 0)
        file.write("the second life\n")
        file.flush()
        assert path.stat().st_size > 150_000
        assert following.read() == ["the second life"]


def test_a_hole_that_was_left_while_nobody_looked_is_passed_over(folder: Path, following: Following) -> None:
    """It is larger than a piece, and begins the file; so do bytes of zero that a disk left after a power failure."""
    path = folder / "a.log"
    with path.open("w") as file:
        file.write("the first life\n")
        file.flush()
        assert following.read() == ["the first life"]
        following.stop()
        os.truncate(path, 0)
        file.seek(3 * BYTES_MAX)
        file.write("the second life\n")
    (folder / "b.log").write_bytes(b"\0" * (BYTES_MAX + 1) + b"after zeros\n")
    following._open()
    assert sorted(following.read()) == ["after zeros", "the second life"]
    assert following.fleet.unread_bytes == 0


def test_an_event_that_lies_across_two_pieces_is_whole(
    folder: Path, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a trace, and of a container's line that was cut, in files that were written long ago."""
    trace = "2026-03-28 10:00:00 ERROR broke\njava.lang.Error: x\n" + "\tat a.b(c)\n" * 8
    append(folder / "a.log", trace * 50)
    half = f"2026-03-28T10:00:00Z stdout %s {'x' * 15_000}\n"
    append(folder / "b.log", (half % "P" + half % "F") * 10)
    monkeypatch.setattr("tailrace.client.shipper.followed.PIECE_LINES_MAX", 128)
    following.fleet.look_around(following.now_s)
    following.now_s += 60
    assert set(following.take(bytes_max=100_000)) == {trace.removesuffix("\n"), "x" * 30_000}


def test_a_file_whose_disk_was_away_is_opened_again(
    folder: Path, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its handle is stale then; and a file that is gone there is let go of."""
    append(folder / "a.log", "one\n")
    append(folder / "b.log", "two\n")
    assert len(following.read()) == 2
    stale = {file.open() for file in following.fleet._files.values()}
    real = os.fstat

    def refusing(descriptor: int) -> os.stat_result:
        if descriptor in stale:
            raise OSError(116, "Stale file handle")
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", refusing)
    (folder / "b.log").unlink()
    append(folder / "a.log", "three\n")
    # The numbers of closed ones are used again.
    monkeypatch.setattr(os, "close", lambda descriptor: None)
    assert following.read() == ["three"]
    assert len(following.fleet) == 1
    monkeypatch.undo()
    for descriptor in stale:
        os.close(descriptor)


@pytest.mark.slow
def test_more_files_than_may_be_open_are_followed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle ones are closed, and read when they grow; also those that were renamed meanwhile."""
    monkeypatch.setattr("tailrace.client.shipper.fleet.OPEN_FILES_MAX", 8)
    following = Following(folder, "*.log")
    # Each is opened to be read, also between two looks.
    monkeypatch.setattr(following.fleet, "_close_idle", lambda: None)
    for number in range(20):
        append(folder / f"{number}.log", f"first {number}\n")
    opened = len(os.listdir("/proc/self/fd"))
    assert len(following.read()) == 20
    before = len(os.listdir("/proc/self/fd"))
    assert before <= opened + 8
    monkeypatch.undo()
    for number in range(20):
        append(folder / f"{number}.log", f"second {number}\n")
        if number % 2:
            (folder / f"{number}.log").rename(folder / f"{number}.log.1")
    assert len(following.read()) == 20
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    following.stop()


def test_a_file_that_cannot_be_read_is_told_once(
    folder: Path, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are read."""
    append(folder / "a.log", "one\n")
    append(folder / "b.log", "two\n")
    real = os.open

    def refusing(path: str, flags: int, *rest: int) -> int:
        if str(path).endswith("a.log"):
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", refusing)
    assert following.read() == ["two"]
    assert following.said == [f"{folder / 'a.log'} cannot be read: Permission denied"]


def test_a_file_that_goes_before_it_was_read_is_told(folder: Path, following: Following) -> None:
    """An empty one is no loss; and when they come again they are new."""
    append(folder / "a.log", "unread\n")
    append(folder / "b.log", "")
    following.fleet.look_around(following.now_s)
    for name in ("a.log", "b.log"):
        (folder / name).unlink()
    for file in following.fleet._files.values():
        file.close()
    assert following.read(after_s=6.0) == []
    assert following.fleet.lost_bytes == 7
    assert [told.partition(" ")[2] for told in following.said] == ["is gone, and its last 7 bytes were not read"]
    append(folder / "a.log", "new\n")
    assert following.read() == ["new"]


def test_a_disk_that_is_away_for_a_while_is_not_read_again(folder: Path, following: Following) -> None:
    """Its files are remembered for an hour."""
    append(folder / "a.log", "one\n")
    assert following.read() == ["one"]
    following.crash()
    away = folder.rename(folder.parent / "away")
    folder.mkdir()
    assert following.read() == []
    folder.rmdir()
    away.rename(folder)
    append(folder / "a.log", "two\n")
    assert following.read() == ["two"]


def test_pieces_are_bounded(folder: Path, following: Following) -> None:
    """By lines and by bytes; a line longer than a piece is cut, and nothing waits for its end for ever."""
    path = folder / "a.log"
    path.write_bytes(b"x\n" * (PIECE_LINES_MAX + 10) + b"y" * (2 * BYTES_MAX) + b"\nz\n")
    following.fleet.look_around(following.now_s)
    following.now_s += 2
    sizes = []
    lines = refused = 0
    while reads := list(following.fleet.read(BYTES_MAX, now_s=following.now_s, now_us=0)):
        for _, _, read in reads:
            following.now_s += 1
            sizes.append(read.end)
            lines += read.events.num_rows
            refused += sum(map(len, read.refused))
    # The last line of a piece may be gone on with in the next.
    assert sizes[0] == 2 * (PIECE_LINES_MAX - 1)
    assert sum(sizes) == path.stat().st_size
    assert max(sizes) <= BYTES_MAX
    assert refused >= 2 * BYTES_MAX - (1 << 20)
    assert lines >= PIECE_LINES_MAX + 11
