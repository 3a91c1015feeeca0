"""The cache of answers, and who makes the answer that many ask for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import QueryError
from tailrace.serve.cache import InFlight, MemoryAnswers, key_of
from tests.serve.conftest import Client, House, many


class Left(Exception):
    """The maker alone is concerned."""


@given(st.dictionaries(st.text(), st.text() | st.integers(-(2**53), 2**53)))
def test_a_key_does_not_depend_on_the_order_of_parameters(parameters: dict[str, Any]) -> None:
    """Parameters in any order have the same key."""
    assert key_of(parameters) == key_of(dict(reversed(parameters.items())))


def test_the_cache_keeps_to_its_bytes() -> None:
    """The least recently used answers go first; one larger than the cache is not kept."""

    async def run() -> None:
        cache = MemoryAnswers(keep_s=10, bytes_max=4 * 1000, clock=lambda: 0)
        for key in "abc":
            await cache.put(key, b"x" * 1000)
        assert await cache.get("a") is not None
        await cache.put("d", b"x" * 1000)
        assert [key for key in "abcd" if await cache.get(key)] == ["a", "c", "d"]
        await cache.put("e", b"x" * 4000)
        assert await cache.get("e") is None
        assert await cache.get("a") is not None

    asyncio.run(run())


def test_equal_questions_at_once_are_answered_once() -> None:
    """The first asks, and all get its answer; a later one asks again."""

    async def run() -> None:
        in_flight = InFlight(lost_by=Left)
        made = 0

        async def make() -> bytes:
            nonlocal made
            made += 1
            await asyncio.sleep(0.01)
            return b"%d" % made

        assert await asyncio.gather(*(in_flight.share("k", make) for _ in range(5))) == [b"1"] * 5
        assert await in_flight.share("k", make) == b"2"

    asyncio.run(run())


def test_an_error_is_shared_too() -> None:
    """Asking a wrong question again for each who waits would not make it right."""

    async def run() -> None:
        in_flight = InFlight(lost_by=Left)
        made = 0

        async def make() -> bytes:
            nonlocal made
            made += 1
            await asyncio.sleep(0.01)
            raise QueryError("no")

        found = await asyncio.gather(*(in_flight.share("k", make) for _ in range(3)), return_exceptions=True)
        assert [type(error) for error in found] == [QueryError] * 3
        assert made == 1

    asyncio.run(run())


@pytest.mark.parametrize("how", ["left", "cancelled"])
def test_when_the_maker_leaves_another_makes_the_answer(how: str) -> None:
    """Its own fate is not that of those who wait."""

    async def run() -> None:
        in_flight = InFlight(lost_by=Left)

        async def leave() -> bytes:
            await asyncio.sleep(0.01)
            raise Left

        async def hang() -> bytes:
            await asyncio.sleep(60)
            return b""

        async def make() -> bytes:
            return b"made"

        first = asyncio.ensure_future(in_flight.share("k", leave if how == "left" else hang))
        await asyncio.sleep(0)
        others = [asyncio.ensure_future(in_flight.share("k", make)) for _ in range(3)]
        await asyncio.sleep(0)
        if how == "cancelled":
            first.cancel()
        assert await asyncio.gather(*others) == [b"made"] * 3
        with pytest.raises(Left if how == "left" else asyncio.CancelledError):
            await first

    asyncio.run(run())


def test_a_question_in_the_same_words_is_known(house: House, client: Client) -> None:
    """It is answered without being read anew, until its answer is too old; and still only if it is right."""
    house.hot.put([many(3)])
    path = "/logs?service=auth&level=info"
    assert [client.get(path).headers["x-cache"] for _ in range(3)] == ["miss", "hit", "hit"]
    house.now_us[0] += 120 * 1_000_000
    assert client.get(path).headers["x-cache"] == "miss"
    assert client.get(path, headers={"Cache-Control": "no-cache"}).headers["x-cache"] == "miss"
    for _ in range(2):
        assert client.get("/logs?level=loud").status_code == 400
        assert client.get("/logs?servis=auth").status_code in (400, 422)
