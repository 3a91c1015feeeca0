from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tailrace.serve import saved_routes
from tailrace.store import saved_views
from tests.serve.conftest import Client, House

SEARCH = {
    "name": "Failed payments",
    "kind": "search",
    "state": {"q": 'level:ERROR AND "card <b>"', "columns": ["host"]},
}


def save(client: Client, **other: Any) -> httpx.Response:
    return client.request("POST", "/api/saved", json=SEARCH | other)


def test_a_view_is_kept_read_changed_and_deleted(house: House, client: Client) -> None:
    """It keeps its id and its beginning; what was deleted is gone for everybody."""
    made = save(client)
    assert made.status_code == 201
    view = made.json()
    assert {key: view[key] for key in SEARCH} == SEARCH
    assert view["created"] == view["updated"] == "2025-03-28T10:00:00.000000Z"
    path = f"/api/saved/{view['id']}"
    assert client.get(path).json() == view
    house.now_us[0] += 1_500_000
    changed = client.request("PUT", path, json={"name": "  Now SQL ", "kind": "sql", "state": {}}).json()
    assert changed == {
        "id": view["id"],
        "name": "Now SQL",
        "kind": "sql",
        "state": {},
        "created": view["created"],
        "updated": "2025-03-28T10:00:01.500000Z",
    }
    assert client.get(path).json() == changed
    assert client.request("DELETE", path).status_code == 204
    for method in ("GET", "DELETE"):
        assert client.request(method, path).status_code == 404
    assert client.request("PUT", path, json=SEARCH).status_code == 404
    assert client.get("/api/saved").json() == {"saved": []}


def test_the_last_changed_comes_first(house: House, client: Client) -> None:
    """The list has whole views, in the order in which people have used them."""
    views = []
    for name in ("a", "b", "c"):
        house.now_us[0] += 1
        views.append(save(client, name=name).json())
    house.now_us[0] += 1
    client.request("PUT", f"/api/saved/{views[0]['id']}", json=SEARCH | {"name": "a"})
    listed = client.get("/api/saved").json()["saved"]
    assert [each["name"] for each in listed] == ["a", "c", "b"]
    assert listed[1] == views[2]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"kind": "pattern"}, "kind"),
        ({"state": [1]}, "state"),
        ({"state": None}, "state"),
        ({"owner": "me"}, "owner"),
    ],
)
def test_a_wrong_body_is_told_by_its_member(client: Client, body: dict[str, Any], reason: str) -> None:
    """400 with the member that is wrong; nothing is kept."""
    answer = save(client, **body)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(reason)
    assert client.get("/api/saved").json() == {"saved": []}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"\xff", b'{"name": "\\ud800"}', b"[" * 5000])
def test_a_body_that_is_no_object_is_refused(client: Client, content: bytes) -> None:
    """400, whatever it is."""
    assert client.request("POST", "/api/saved", content=content).status_code == 400


def test_odd_states_come_back_as_they_went(client: Client) -> None:
    """Hostile texts, large numbers and deep objects are kept as data."""
    state = {
        "text": "<script>\u202e\x00\x1b[31m😀",
        "number": 2**63 - 1,
        "deep": {"a": {"b": [{"c": [None, True, 0.1]}]}},
    }
    view = save(client, state=state, name="<b>\u202eoops</b>").json()
    assert client.get(f"/api/saved/{view['id']}").json()["state"] == state


def test_a_state_has_a_bound(client: Client) -> None:
    """64 KiB of JSON are kept, a byte more is 413, and so is a body that never ends."""
    room = saved_routes.STATE_BYTES_MAX - len('{"q":""}')
    assert save(client, state={"q": "x" * room}).status_code == 201
    assert save(client, state={"q": "x" * (room + 1)}).status_code == 413
    assert save(client, state={"q": "x" * 10_000_000}).status_code == 413


def test_there_is_a_bound_to_all_of_them(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past it the answer says to delete some; what is there can still be changed."""
    monkeypatch.setattr(saved_views, "VIEWS_MAX", 2)
    views = [save(client).json() for _ in range(2)]
    refused = save(client)
    assert refused.status_code == 400
    assert "delete some" in refused.json()["detail"]
    path = f"/api/saved/{views[0]['id']}"
    assert client.request("PUT", path, json=SEARCH).status_code == 200
    monkeypatch.setattr(saved_views, "BYTES_MAX", 200)
    assert client.request("PUT", path, json=SEARCH | {"state": {"q": "x" * 200}}).status_code == 400


def test_of_many_changes_at_once_one_is_left_whole(client: Client) -> None:
    """The last write wins: name and state are of the same writer."""
    path = f"/api/saved/{save(client).json()['id']}"

    def change(number: int) -> int:
        body = {"name": f"n{number}", "kind": "search", "state": {"n": number}}
        return client.request("PUT", path, json=body).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(change, range(40))) == {200}
    left = client.get(path).json()
    assert left["name"] == f"n{left['state']['n']}"
