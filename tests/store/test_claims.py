"""Claims: the first record has the key, for all who ask, in any order, for as long as the window."""

from __future__ import annotations

import threading
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.batch import batch_of_rows
from tailrace.model.claim import (
    document_claims,
    document_digest,
    is_key,
    key_and_time,
    letter_claim,
    rejected_claim,
    request_claim,
)
from tailrace.store.dead_letters import DeadLetters

WINDOW_S = 60
SECOND_US = 1_000_000


def place(path: Path | str = ":memory:", now_us: int = 0) -> DeadLetters:
    return DeadLetters(path, window_s=WINDOW_S, clock=lambda: now_us)


def test_the_first_record_has_the_key_for_good(tmp_path: Path) -> None:
    """It asks again after a crash and has it still; another record has not, ever; a list is answered in order."""
    claims = place(tmp_path / "d.db")
    assert claims.claim([("letter/0-1-0", 0, 50), ("letter/0-1-0", 0, 51), ("letter/0-1-1", 0, 51)]) == [
        True,
        False,
        True,
    ]
    claims.close()
    again = place(tmp_path / "d.db", now_us=10**15)
    assert again.claim([("letter/0-1-0", 0, 52), ("letter/0-1-0", 0, 50)]) == [False, True]
    again.close()


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 5 * WINDOW_S)),
        max_size=12,
        unique_by=lambda record: record[1:],
    ),
    st.randoms(use_true_random=False),
)
def test_every_pipeline_gets_the_same_answers(records: list[tuple[int, int, int]], random: Random) -> None:
    """Several pipelines ask for the same records in orders of their own, some again: what one was told, all are.

    Of two records with one key whose requests were within the window, at most one is stored; and one is stored of
    all that lie within a window of it.
    """
    claims = place()
    asked = [(request_claim(f"k{key}", at_s * SECOND_US), at_s, number) for key, number, at_s in records]
    told: dict[tuple[str, int, int], bool] = {}
    for each in random.choices(asked, k=4 * len(asked)) + asked if asked else []:
        name, at_s, number = each
        [answer] = claims.claim([(name, number, at_s)])
        assert told.setdefault(each, answer) == answer
    for name, at_s, number in asked:
        same = [other for other in asked if key_and_time(other[0])[0] == key_and_time(name)[0]]
        near = [other for other in same if abs(other[1] - at_s) <= WINDOW_S]
        if told[name, at_s, number]:
            assert not any(told[other] for other in near if other != (name, at_s, number))
        else:
            assert any(told[other] for other in near)
    claims.close()


def test_a_key_that_is_used_anew_after_the_window_is_another_one() -> None:
    """Its events are stored; and a pipeline that is days behind still gets what the others got for the old ones."""
    claims = place()
    old, repeated, new = (request_claim("k", seconds * SECOND_US) for seconds in (1000, 1030, 1000 + WINDOW_S + 1))
    assert claims.claim([(old, 0, 1), (repeated, 0, 2), (new, 0, 3)]) == [True, False, True]
    assert claims.claim([(old, 0, 1), (repeated, 0, 2), (new, 0, 3)]) == [True, False, True]


def test_old_claims_of_requests_are_forgotten_and_those_of_letters_are_not(tmp_path: Path) -> None:
    """The file does not grow for ever with what clients send."""
    now_us = [0]
    claims = DeadLetters(tmp_path / "d.db", window_s=WINDOW_S, clock=lambda: now_us[0])
    claims.claim([(request_claim("k", 0), 0, 1), ("letter/0-1-0", 0, 2)])
    now_us[0] = (WINDOW_S + 1) * SECOND_US
    claims.claim([(request_claim("other", now_us[0]), 0, 3)])
    assert claims.answers([(request_claim("k", 0), 0, 9)]) is None
    assert claims.answers([("letter/0-1-0", 0, 9)]) == [False]
    claims.close()


def test_threads_that_ask_at_once_agree(tmp_path: Path) -> None:
    """Eight threads over two openings of the file, each with a record of its own: each key has one holder."""
    places = [place(tmp_path / "d.db"), place(tmp_path / "d.db")]
    answers: list[list[bool]] = []

    def ask(number: int) -> None:
        answers.append([places[number % 2].claim([(f"key-{key}", 0, number)])[0] for key in range(20)])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [sum(column) for column in zip(*answers, strict=True)] == [1] * 20
    for each in places:
        each.close()


@given(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255), st.integers(0, 10**15)
)
def test_no_two_keys_share_a_claim(key: str, at_us: int) -> None:
    """Whatever its characters: its events and its dead letters are told apart, and from those of others."""
    assert is_key(key)
    name, time_us = key_and_time(request_claim(key, at_us))
    assert time_us == at_us
    assert name.count("/") == 1
    assert key_and_time(rejected_claim(key, at_us)) == (f"{name}/rejected", at_us)
    assert key_and_time(letter_claim("0-1-0")) == ("letter/0-1-0", None)


def test_what_is_no_key() -> None:
    """Empty, too long, or with characters that headers and logs do not carry whole."""
    assert not any(map(is_key, ["", "x" * 256, "a\nb", "ä", "\x7f", "a\x00"]))


def test_the_newest_documents_are_told(tmp_path: Path) -> None:
    """By what their claims were made of, whatever else was claimed; so that a gateway knows them after a restart."""
    now_us = [0]
    claims = DeadLetters(tmp_path / "d.db", window_s=WINDOW_S, clock=lambda: now_us[0])
    times = {"timestamp": 1, "message": "", "observed_timestamp": 0}
    for number in range(5):
        now_us[0] = number
        rows = [{**times, "attributes": {"_index": "caf\u00e9", "_id": f"{number}"}}]
        _, names = document_claims(batch_of_rows(rows))
        claims.claim([(name, 0, number) for name in names])
        claims.claim([(request_claim(f"k{number}", 0), 0, 50 + number), (f"letter/0-1-{number}", 0, 80)])
    expected = [document_digest("caf\u00e9".encode(), b"%d" % number) for number in (4, 3)]
    assert claims.newest_documents(2) == expected
    assert len(claims.newest_documents(100)) == 5
    claims.close()
