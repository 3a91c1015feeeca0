from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import BadInput
from tailrace.serve.cursors import decode_cursor, encode_cursor
from tailrace.store.port import Cursor
from tests.serve.conftest import Client, House, many, stored


def test_logs_by_service_level_and_words(house: House, client: Client) -> None:
    """Services and levels may be repeated and written in any case; all conditions hold together."""
    house.hot.put([many(100)])
    asked = {"service": ["AUTH", "pay"], "level": ["warning", "error"], "q": "took", "limit": "1000"}
    answer = client.get("/logs", params=asked).json()
    found = {(log["service"], log["level"]) for log in answer["logs"]}
    assert found == {("auth", "WARN"), ("auth", "ERROR"), ("pay", "WARN"), ("pay", "ERROR")}
    assert answer["count"] == len(answer["logs"])
    assert answer["next_cursor"] is None


def test_logs_are_paged_newest_first(house: House, client: Client) -> None:
    """The newest come first, and next_cursor leads on."""
    house.hot.put([many(5)])
    first = client.get("/logs?limit=3").json()
    rest = client.get("/logs", params={"limit": "3", "cursor": first["next_cursor"]}).json()
    assert [log["id"] for log in first["logs"] + rest["logs"]] == [f"0-0-{row}" for row in (4, 3, 2, 1, 0)]


def test_an_answer_is_kept_until_it_is_old(house: House, client: Client) -> None:
    """The same question is answered from the cache for 120 s, by normalised parameters; then anew."""
    house.hot.put([many(2)])
    first = client.get("/logs?service=auth&service=web&level=info")
    house.hot.put([stored([{"service": "auth", "level": "INFO"}], offset=1)])
    again = client.get("/logs?level=INFO&service=web&service=Auth")
    assert (first.headers["x-cache"], again.headers["x-cache"]) == ("miss", "hit")
    assert first.content == again.content
    house.now_us[0] += 120 * 1_000_000
    later = client.get("/logs?service=auth&service=web&level=info")
    assert later.headers["x-cache"] == "miss"
    assert later.json()["count"] == first.json()["count"] + 1


def test_no_cache_goes_past_and_refreshes(house: House, client: Client) -> None:
    """Cache-Control: no-cache gets a new answer, and the next one who asks gets that."""
    client.get("/logs")
    house.hot.put([many(2)])
    fresh = client.get("/logs", headers={"Cache-Control": "no-cache"})
    assert (fresh.headers["x-cache"], fresh.json()["count"]) == ("miss", 2)
    assert client.get("/logs").json()["count"] == 2


def test_a_level_that_is_none(client: Client) -> None:
    """A level nobody knows is a 400 that lists the levels."""
    answer = client.get("/logs?level=loud")
    assert answer.status_code == 400
    assert "FATAL" in answer.json()["detail"]


_CURSORS = st.builds(
    Cursor,
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**63 - 1),
    st.integers(-1, 2**31 - 1),
)


@given(_CURSORS)
def test_a_cursor_comes_back(cursor: Cursor) -> None:
    """Every place survives being written as text."""
    assert decode_cursor(encode_cursor(cursor)) == cursor


@given(_CURSORS, st.data())
def test_a_damaged_cursor_is_told(cursor: Cursor, data: st.DataObject) -> None:
    """Any one character changed is found out, or is not part of the value."""
    text = encode_cursor(cursor)
    place = data.draw(st.integers(0, len(text) - 1))
    other = text[:place] + data.draw(st.characters(codec="utf-8")) + text[place + 1 :]
    try:
        found = decode_cursor(other)
    except BadInput:
        return
    assert found == cursor


@given(st.text())
def test_any_text_as_cursor_is_told_or_none(text: str) -> None:
    """Decoding random text never fails in another way than BadInput."""
    with pytest.raises(BadInput):
        decode_cursor(text)
