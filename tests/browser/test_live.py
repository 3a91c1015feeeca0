"""Live: lines as they come in."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.events import send
from tests.browser.visits import Visits
from tests.server import Server


def lines(page: Page) -> Locator:
    return page.get_by_role("log", name="Lines, newest last")


def send_one(server: Server, message: str, service: str = "live") -> None:
    send(server, b'{"message": "%s", "level": "WARN", "service": "%s"}' % (message.encode(), service.encode()))


def listen(server: Server, visits: Visits, path: str = "/live?q=service:live", **options: object) -> Page:
    page = visits.open(server, path, **options)
    expect(page.get_by_role("status").get_by_text("Live", exact=True)).to_be_visible()
    return page


def test_lines_appear_as_they_are_sent_and_only_those_that_match(server: Server, visits: Visits) -> None:
    """The query of the address holds from the first line on, and a new one from its Enter."""
    page = listen(server, visits)
    send_one(server, "first line")
    expect(lines(page)).to_contain_text("first line")
    page.get_by_role("textbox", name="Query").fill("service:other")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("other"))
    expect(page.get_by_role("status").get_by_text("Live", exact=True)).to_be_visible()
    send_one(server, "not wanted")
    send_one(server, "wanted now", "other")
    expect(lines(page)).to_contain_text("wanted now")
    expect(lines(page)).not_to_contain_text("not wanted")


def test_a_pause_stands_still_and_keeps_counting(server: Server, visits: Visits) -> None:
    """Nothing moves under the eyes of who reads, nothing is forgotten, and `p` goes on."""
    page = listen(server, visits)
    send_one(server, "before the pause")
    expect(lines(page)).to_contain_text("before the pause")
    page.get_by_role("button", name="Pause").click()
    for number in range(7):
        send_one(server, f"meanwhile {number}")
    expect(page.get_by_text("Paused, 7 new")).to_be_visible()
    expect(lines(page)).not_to_contain_text("meanwhile")
    page.locator("body").press("p")
    expect(lines(page)).to_contain_text("meanwhile 6")
    expect(page.get_by_text("0 skipped")).to_be_visible()


def test_a_wrong_query_says_where(server: Server, visits: Visits) -> None:
    """The server's own words, and lines come again when it is mended."""
    visits.allow("400")
    page = visits.open(server, "/live?q=service:live AND")
    expect(page.get_by_role("alert")).to_contain_text("a term must follow 'AND'")
    page.get_by_role("textbox", name="Query").fill("service:live")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").get_by_text("Live", exact=True)).to_be_visible()
    send_one(server, "mended")
    expect(lines(page)).to_contain_text("mended")


def test_a_highlight_rule_marks_its_words_and_is_kept(server: Server, visits: Visits) -> None:
    """A rule is there again after a reload."""
    page = listen(server, visits)
    page.get_by_role("button", name="Highlight words").click()
    page.get_by_role("textbox", name="Word, or /expression/").fill("/ord.r/")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    send_one(server, "an order came")
    expect(lines(page).locator("mark")).to_have_text("order")
    page.reload()
    expect(page.get_by_role("button", name="Highlight words, 1 rules")).to_be_visible()


def test_the_tail_connects_again_after_the_server_was_killed(own_server: Server, visits: Visits) -> None:
    """The gap is told, with a link to what happened in it."""
    visits.allow("ERR_")
    page = listen(own_server, visits)
    send_one(own_server, "before the kill")
    expect(lines(page)).to_contain_text("before the kill")
    own_server.kill()
    expect(page.get_by_role("main").get_by_text("Next try in")).to_be_visible()
    own_server.start()
    expect(page.get_by_role("status").get_by_text("Live", exact=True)).to_be_visible(timeout=40_000)
    send_one(own_server, "after the kill")
    expect(lines(page)).to_contain_text("after the kill")
    expect(lines(page)).to_contain_text("No connection from")
