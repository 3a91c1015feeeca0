"""The search as others use the servers: writes that go on, indices that go, servers that are not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tailrace.config import ElasticsearchSettings, QuerySettings
from tailrace.errors import RetryLater
from tailrace.query.lucene import parse
from tailrace.query.tree import Phrase
from tailrace.store.elasticsearch import figures
from tailrace.store.elasticsearch import snapshot as snapshot_module
from tailrace.store.elasticsearch.documents import index_of, render
from tailrace.store.elasticsearch.indices import drop_index
from tailrace.store.elasticsearch.search import ElasticsearchSearch
from tailrace.store.elasticsearch.server import NDJSON, Server
from tailrace.store.elasticsearch.store import ElasticsearchStore
from tailrace.store.port import Selection, Snapshot
from tests.store.elasticsearch.search_rig import SERVERS, filled, open_search, open_store, url_on
from tests.store.lake_rig import DAY_US, NOON_US, SECOND_US, FakeClock, event, numbered, stored

TODAY = NOON_US // DAY_US


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest) -> str:
    return url_on(request)


@pytest.fixture
def place(url: str) -> Iterator[tuple[ElasticsearchStore, ElasticsearchSearch]]:
    with open_store(url, FakeClock()) as store, open_search(url, FakeClock()) as search:
        yield store, search


def messages(view: Snapshot, text: str = "*", **bounds: Any) -> list[str]:
    batches = view.stream(Selection(parse(text), **bounds), order="asc")
    return [message for batch in batches for message in batch.column("message").to_pylist()]


def test_a_view_stays_as_it_is_while_writes_go_on(place: tuple[ElasticsearchStore, ElasticsearchSearch]) -> None:
    """New events, in old indices and in new ones, are in the next view."""
    store, search = place
    store.write([numbered(0, 2)], {0: 1})
    with search.snapshot() as before:
        assert messages(before) == ["0-0", "0-1"]
        store.write([numbered(1, 2), numbered(2, at_us=NOON_US + DAY_US)], {0: 3})
        assert messages(before) == ["0-0", "0-1"]
        assert before.count(Selection()) == 2
        assert before.reached == {0: 1}
        with search.snapshot() as after:
            assert messages(after) == ["0-0", "0-1", "1-0", "1-1", "2-0"]
            assert after.reached == {0: 3}


def test_what_is_not_reached_is_not_seen(place: tuple[ElasticsearchStore, ElasticsearchSearch], url: str) -> None:
    """Documents of a write that is not whole are the hot store's: of a known partition, or of one not known yet."""
    store, search = place
    store.write([numbered(0), numbered(1)], {0: 2, 2: 5})
    unfinished = [numbered(2), stored([event("other")], 0, partition=1), stored([event("late")], 5, partition=2)]
    server = Server(url)
    for batch in unfinished:
        lines, _ = render(batch)
        path = f"/{index_of(server.name, TODAY)}/_bulk"
        server.send("POST", path, lines.data, content_type=NDJSON, parameters={"refresh": "true"})
    server.close()
    with search.snapshot() as view:
        assert messages(view) == ["0-0", "1-0"]
        assert view.count(Selection()) == 2
        assert [figure.count for figure in view.fields(Selection())] == [2, 2, 2]


def test_before_the_first_write_there_is_nothing(url: str) -> None:
    """Neither events nor errors, whether the store was ever opened or not."""
    with open_search(url, FakeClock()) as search:
        for _ in range(2):
            with search.snapshot() as view:
                assert messages(view) == []
                assert view.reached == {}
                assert (view.count(Selection()), view.fields(Selection())) == (0, [])
            with open_store(url, FakeClock()):
                assert search.reached() == {}


def test_reached_without_any_index_is_no_error(place: tuple[ElasticsearchStore, ElasticsearchSearch]) -> None:
    """Records of the log without events, or a retention that dropped every day."""
    store, search = place
    store.write([], {0: 7})
    with search.snapshot() as view:
        assert messages(view) == []
        assert view.reached == {0: 7}


def test_an_index_that_is_dropped_under_a_view_ends_it(
    place: tuple[ElasticsearchStore, ElasticsearchSearch], url: str
) -> None:
    """The asker is told to ask again, and then gets what is left: no answer is short in silence."""
    store, search = place
    store.write([numbered(0), numbered(1, at_us=NOON_US + DAY_US)], {0: 2})
    with search.snapshot() as view:
        assert view.count(Selection()) == 2
        server = Server(url)
        drop_index(server, index_of(server.name, TODAY))
        server.close()
        with pytest.raises(RetryLater):
            view.count(Selection())
        with search.snapshot() as again:
            assert messages(again) == ["1-0"]


def test_a_long_stream_comes_in_pages_with_every_row_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages end among rows of the same time, and grow and shrink with the size of their rows."""
    monkeypatch.setattr(snapshot_module, "_PAGE_BYTES", 50_000)
    rows = [event(f"{at} {'x' * (at % 90) * 20}", at_us=NOON_US + at // 40) for at in range(3000)]
    with filled(url, FakeClock(), [([stored(rows, 0)], {0: 1})]) as search, search.snapshot() as view:
        assert messages(view) == [row["message"] for row in rows]
        assert messages(view, "/^[0-9]*7 /") == [
            row["message"] for row in rows if row["message"].split()[0][-1] == "7"
        ]


def test_figures_of_more_values_than_a_server_sends_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many values in each of two days: the most frequent are exact, and a histogram by them is, too."""
    monkeypatch.setattr(figures, "_PAGE", 100)
    days = [
        [event("m", at_us=NOON_US + day * DAY_US, attributes={"user": f"u{at}", f"f{at}": "x"}) for at in range(600)]
        for day in (0, 1)
    ]
    for row in days[1][550:]:
        row["attributes"]["user"] = "u599"
    batches = [stored(rows, offset) for offset, rows in enumerate(days)]
    with filled(url, FakeClock(), [(batches, {0: 2})]) as search, search.snapshot() as view:
        values = view.values(Selection(), field="user", limit=3)
        assert [(each.value, each.count) for each in values] == [("u599", 51), ("u0", 2), ("u1", 2)]
        fields = view.fields(Selection())
        assert (fields[3].name, fields[3].count, len(fields)) == ("user", 1200, 4 + 600)
        day_of_all = view.histogram(Selection(parse("u599")), interval_us=DAY_US, by="user")
        assert [(each.value, each.count) for each in day_of_all] == [("u599", 1), ("u599", 50)]
        assert len(view.histogram(Selection(), interval_us=DAY_US, by="user")) == 600 + 551


def test_a_server_that_is_away_is_to_be_asked_later(url: str) -> None:
    """Without waiting for long, by every way in."""
    with open_search("elasticsearch://127.0.0.1:1/logs", FakeClock()) as search:
        with pytest.raises(RetryLater), search.snapshot():
            pass
        with pytest.raises(RetryLater):
            search.reached()


def test_a_query_that_takes_too_long_is_ended(
    place: tuple[ElasticsearchStore, ElasticsearchSearch], url: str
) -> None:
    """By the time cap of queries, and the message names it."""
    store, _ = place
    store.write([numbered(0)], {0: 1})
    settings = QuerySettings(time_max_s=1e-6)
    is_named = pytest.raises(RetryLater, match=r"query\.time_max_s")
    with open_search(url, FakeClock(), settings) as search, search.snapshot() as view, is_named:
        view.count(Selection(Phrase(None, "a")))


def test_several_shards_answer_as_one(url: str) -> None:
    """Pages and figures are put together by the server."""
    settings = ElasticsearchSettings(shards=3)
    rows = [event(f"{at:03}", at_us=NOON_US + at % 5 * SECOND_US, attributes={"k": str(at % 7)}) for at in range(300)]
    batch = stored(rows, 0)
    with filled(url, FakeClock(), [([batch], {0: 1})], settings) as search, search.snapshot() as view:
        expected = [row["message"] for row in sorted(rows, key=lambda row: (row["timestamp"], row["message"]))]
        assert messages(view) == expected
        assert [figure.count for figure in view.values(Selection(), field="k", limit=9)] == [43] * 6 + [42]
