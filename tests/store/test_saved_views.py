from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tailrace.errors import NotFound, RetryLater, Stop
from tailrace.store.saved_views import Content, SavedViews, random_id

CONTENT = Content("Failed payments", "search", '{"q":"level:ERROR"}')

Open = Callable[[], SavedViews]


@pytest.fixture
def open_views(tmp_path: Path) -> Iterator[Open]:
    opened: list[SavedViews] = []

    def make() -> SavedViews:
        opened.append(SavedViews(tmp_path / "saved_views.db", clock=lambda: 7))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def test_views_outlive_the_process(open_views: Open) -> None:
    """What was saved is there after a start anew, with its id and times."""
    first = open_views()
    made = first.create(CONTENT)
    assert (made.created_us, made.updated_us) == (7, 7)
    first.close()
    again = open_views()
    assert again.get(made.id) == made
    assert list(again.list()) == [made]


def test_what_a_killed_process_saved_is_there(open_views: Open, tmp_path: Path) -> None:
    """A view is durable on return: its process may be killed the moment after."""
    program = (
        "import os, signal, sys; from tailrace.store.saved_views import Content, SavedViews;"
        "views = SavedViews(sys.argv[1], clock=lambda: 1);"
        "print(views.create(Content('x', 'sql', '{}')).id, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "saved_views.db")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert open_views().get(done.stdout.strip()).content == Content("x", "sql", "{}")


def test_two_processes_of_one_machine_share_the_file(open_views: Open) -> None:
    """What one saves, changes or removes, the other sees at once."""
    one, other = open_views(), open_views()
    view = one.create(CONTENT)
    changed = other.change(view.id, Content("b", "sql", "{}"))
    assert one.get(view.id) == changed
    one.remove(view.id)
    for call in (other.get, other.remove):
        with pytest.raises(NotFound):
            call(view.id)
    with pytest.raises(NotFound):
        other.change(view.id, CONTENT)


def test_ids_are_short_and_fit_into_links() -> None:
    """Twelve characters that no link needs to quote, and never the same."""
    ids = {random_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(id) == 12 and id.replace("-", "").replace("_", "").isalnum() for id in ids)


def test_another_file_is_not_taken_for_one_of_views(tmp_path: Path) -> None:
    """A file of another program or of another format stops with a message."""
    path = tmp_path / "other.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE t (x)")
    db.commit()
    db.close()
    with pytest.raises(Stop, match="not a file of saved views"):
        SavedViews(path, clock=lambda: 0)
    (tmp_path / "damaged.db").write_bytes(b"x" * 8192)
    with pytest.raises(Stop, match="damaged"):
        SavedViews(tmp_path / "damaged.db", clock=lambda: 0)


def test_a_file_that_is_locked_is_for_later(
    open_views: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's long transaction is told as what it is, and nothing is lost by it."""
    monkeypatch.setattr("tailrace.store.sqlite_file._BUSY_S", 0.1)
    views = open_views()
    holder = sqlite3.connect(tmp_path / "saved_views.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(RetryLater, match="saved views cannot be used now"):
        views.create(CONTENT)
    holder.execute("ROLLBACK")
    holder.close()
    assert views.create(CONTENT)
