"""The cache of a lake's files: whole, bounded, shared by processes, and never short of what is in use."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.errors import QueryError, RetryLater
from tailrace.store.lake.cache import Cache

SIZE = 1000


class Origin:
    """Files of SIZE bytes by any name but those in `gone`; counts how often each was fetched."""

    def __init__(self) -> None:
        self.fetched: Counter[str] = Counter()
        self.gone: set[str] = set()
        self.before_fetch = threading.Event()
        self.before_fetch.set()

    def fetch(self, name: str, target: Path) -> None:
        self.fetched[name] += 1
        self.before_fetch.wait(10)
        if name in self.gone:
            raise FileNotFoundError(name)
        target.write_bytes(content(name))


def content(name: str) -> bytes:
    return name.encode().ljust(SIZE, b".")


@contextlib.contextmanager
def opened(folder: Path, origin: Origin, *, files: int = 10) -> Iterator[Cache]:
    cache = Cache(folder, bytes_max=files * SIZE, fetch=origin.fetch, setting="the.setting")
    try:
        yield cache
    finally:
        cache.close()


def wanted(*names: str) -> dict[str, int]:
    return dict.fromkeys(names, SIZE)


def kept(folder: Path) -> set[str]:
    return {path.name for path in (folder / "files").iterdir()}


def test_a_file_is_fetched_once_and_is_whole(tmp_path: Path) -> None:
    """Also for a second cache on the same folder, and for one that comes after both are closed."""
    origin = Origin()
    with opened(tmp_path, origin) as first, opened(tmp_path, origin) as second:
        for cache in (first, second, first):
            with cache.held(wanted("date=1/a", "b")):
                assert cache.path("date=1/a").read_bytes() == content("date=1/a")
                assert cache.path("b").read_bytes() == content("b")
    with opened(tmp_path, origin) as third, third.held(wanted("b")):
        assert third.path("b").read_bytes() == content("b")
    assert origin.fetched == {"date=1/a": 1, "b": 1}


def test_what_was_not_wanted_for_longest_goes_first(tmp_path: Path) -> None:
    """And no more of it than room is needed for, with a little to spare."""
    with opened(tmp_path, Origin(), files=4) as cache:
        for name in "abcd":
            with cache.held(wanted(name)):
                pass
        with cache.held(wanted("a")):
            pass
        with cache.held(wanted("e")):
            pass
        assert "a" in kept(tmp_path)
        assert "b" not in kept(tmp_path)
        assert len(kept(tmp_path)) >= 3


def test_what_is_in_use_stays_whoever_uses_it(tmp_path: Path) -> None:
    """A file held by another cache on the folder counts, and is not let go of."""
    origin = Origin()
    with opened(tmp_path, origin, files=3) as first, opened(tmp_path, origin, files=3) as second:
        with first.held(wanted("a", "b")):
            for number in range(10):
                with second.held(wanted(f"other{number}")):
                    assert {"a", "b"} <= kept(tmp_path)
            with pytest.raises(RetryLater, match=r"the\.setting"), second.held(wanted("c", "d")):
                pass
        with second.held(wanted("c", "d")):
            assert second.path("d").read_bytes() == content("d")


def test_more_than_the_cache_can_hold_is_refused_by_name(tmp_path: Path) -> None:
    """Before anything is fetched."""
    origin = Origin()
    with opened(tmp_path, origin, files=2) as cache:
        with pytest.raises(QueryError, match=r"3 files of 3,000 bytes, and the\.setting"), cache.held(wanted(*"abc")):
            pass
        assert not origin.fetched


def test_a_file_that_is_not_there_is_said_and_the_others_are_let_go_of(tmp_path: Path) -> None:
    """What was fetched beside it stays in the cache, in use by nobody."""
    origin = Origin()
    origin.gone.add("gone")
    with opened(tmp_path, origin, files=2) as cache:
        with pytest.raises(FileNotFoundError), cache.held(wanted("a", "gone")):
            pass
        with cache.held(wanted("b", "c")):
            assert kept(tmp_path) == {"b", "c"}


def test_one_fetch_serves_all_who_wait_for_it(tmp_path: Path) -> None:
    """Each of them has the file in use."""
    origin = Origin()
    origin.before_fetch.clear()
    found = []
    with opened(tmp_path, origin, files=1) as cache:

        def ask() -> None:
            with cache.held(wanted("a")):
                found.append(cache.path("a").read_bytes())

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        while not origin.fetched:
            time.sleep(0.001)
        origin.before_fetch.set()
        for thread in threads:
            thread.join()
        assert found == [content("a")] * 5
        with cache.held(wanted("b")):
            assert kept(tmp_path) == {"b"}
    assert origin.fetched == {"a": 1, "b": 1}


_KILLED = """
import sys, time
from pathlib import Path
from tests.store.test_lake_cache import Origin, opened, wanted

class Slow(Origin):
    def fetch(self, name, target):
        super().fetch(name, target)
        if name == "torn":
            target.write_bytes(b"half")
            print("fetching", flush=True)
            time.sleep(60)

with opened(Path(sys.argv[1]), Slow(), files=3) as cache, cache.held(wanted("a", "b")), cache.held(wanted("torn")):
    pass
"""


def test_what_a_killed_process_had_in_use_or_half_done_goes(tmp_path: Path) -> None:
    """Half a fetch is never seen as a file, and nothing is held for the dead."""
    child = subprocess.Popen([sys.executable, "-c", _KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "fetching\n"
    origin = Origin()
    with opened(tmp_path, origin, files=3) as cache:
        with pytest.raises(RetryLater), cache.held(wanted("c", "d")):
            pass
        child.kill()
        child.wait()
        child.stdout.close()
        with cache.held(wanted("c", "d", "torn")):
            assert cache.path("torn").read_bytes() == content("torn")
        assert len(list((tmp_path / "users").iterdir())) == 2


def test_files_made_here_are_kept_without_a_fetch(tmp_path: Path) -> None:
    """As long as there is room."""
    origin = Origin()
    with opened(tmp_path, origin, files=1) as cache:
        for name in ("a", "b"):
            draft = cache.draft()
            draft.write_bytes(content(name))
            with cache.held({} if name == "a" else wanted("a")):
                cache.add(name, draft)
            assert not draft.exists()
        assert kept(tmp_path) == {"a"}
        cache.drop("a")
        assert kept(tmp_path) == set()
    assert not origin.fetched


def test_a_folder_that_is_removed_under_it_is_no_fault_of_the_files(tmp_path: Path) -> None:
    """It is told to try again, not that a file of the lake is gone."""
    with opened(tmp_path / "cache", Origin()) as cache:
        (tmp_path / "cache").rename(tmp_path / "elsewhere")
        with pytest.raises(RetryLater), cache.held(wanted("a")):
            pass


Steps = st.lists(
    st.tuples(st.integers(0, 2), st.sets(st.sampled_from("abcdefgh"), min_size=1, max_size=3)), max_size=30
)


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=Steps, seed=st.integers(0, 1000))
def test_whatever_is_held_is_there_and_the_bound_is_kept(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, set[str]]], seed: int
) -> None:
    """Three caches on one folder, files held and let go of in any order."""
    folder = tmp_path_factory.mktemp("cache")
    chance = random.Random(seed)
    with contextlib.ExitStack() as stack:
        caches = [stack.enter_context(opened(folder, Origin(), files=5)) for _ in range(3)]
        held: list[tuple[contextlib.ExitStack, Cache, set[str]]] = []
        for who, names in steps:
            holder = stack.enter_context(contextlib.ExitStack())
            try:
                holder.enter_context(caches[who].held(wanted(*names)))
                held.append((holder, caches[who], names))
            except RetryLater:
                assert len(set().union(*(names for _, _, names in held)) | names) > 5 - len(names)
            for _, cache, in_use in held:
                assert all(cache.path(name).read_bytes() == content(name) for name in in_use)
            assert len(kept(folder)) <= 5
            if held and chance.random() < 0.6:
                held.pop(chance.randrange(len(held)))[0].close()
        for holder, _, _ in held:
            holder.close()
        with caches[0].held(wanted(*"vwxyz")):
            assert kept(folder) == set("vwxyz")


@pytest.mark.slow
def test_threads_and_caches_at_once(tmp_path: Path) -> None:
    """Held files are there and whole, whatever the others bring in or let go of at that moment."""
    errors: list[BaseException] = []
    with opened(tmp_path, Origin(), files=12) as first, opened(tmp_path, Origin(), files=12) as second:

        def ask(cache: Cache, seed: int) -> None:
            chance = random.Random(seed)
            try:
                for _ in range(300):
                    names = {f"{chance.randrange(30)}" for _ in range(3)}
                    try:
                        with cache.held(wanted(*names)):
                            assert all(cache.path(name).read_bytes() == content(name) for name in names)
                    except RetryLater:
                        time.sleep(0.001)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=ask, args=((first, second)[n % 2], n)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert len(kept(tmp_path)) <= 12
