"""System: what flows where, the dead letters, the settings."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.events import send_broken, send_recent
from tests.browser.results import rows
from tests.browser.visits import Visits
from tests.server import Server


def test_a_dead_letter_is_looked_at_mended_and_replayed(own_server: Server, visits: Visits) -> None:
    """A mend that is still wrong says where; the right one becomes an event that search finds."""
    visits.allow("400")
    send_broken(own_server, "invoice")
    page = visits.open(own_server, "/system")
    page.get_by_role("tab", name=re.compile("^Dead letters")).click()
    page.get_by_role("row").nth(1).get_by_role("button").click()
    letter = page.get_by_role("dialog")
    expect(letter).to_contain_text('{"message": "invoice was mended"')
    letter.get_by_text("Bytes", exact=True).click()
    expect(letter).to_contain_text(re.compile("7b 22 6d 65", re.IGNORECASE))
    letter.get_by_role("textbox", name="Mended").fill('{"message": "invoice was mended", }')
    letter.get_by_role("button", name="Replay the mended text").click()
    expect(letter.get_by_role("alert")).to_contain_text("Line 1")
    letter.get_by_role("textbox", name="Mended").fill('{"message": "invoice was mended"}')
    letter.get_by_role("button", name="Replay the mended text").click()
    expect(letter.get_by_role("status")).to_contain_text("One event was taken in")
    own_server.wait_stored()
    letter.get_by_role("link", name="Search the last 15 minutes").click()
    expect(rows(page).filter(has_text="invoice was mended")).to_be_visible()
    assert own_server.get_json("/api/dead-letters")["count"] == 0


def test_a_dead_letter_is_dropped_after_asking(own_server: Server, visits: Visits) -> None:
    """It is gone for good, from the page and from the server."""
    send_broken(own_server, "refund")
    page = visits.open(own_server, "/system#dead-letters")
    page.get_by_role("row").nth(1).get_by_role("button").click()
    page.get_by_role("dialog").get_by_role("button", name="Drop", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Drop it").click()
    expect(page.get_by_text("No dead letters")).to_be_visible()
    assert own_server.get_json("/api/dead-letters")["count"] == 0


def test_the_picture_shows_what_flows_and_has_words_beside_it(own_server: Server, visits: Visits) -> None:
    """Rates of what was just sent, also as a table for those who do not see the picture."""
    page = visits.open(own_server, "/system")
    expect(page.get_by_role("tab", name="What flows where")).to_be_visible()
    for number in range(4):
        send_recent(own_server, 2_000, seed=number)
        page.wait_for_timeout(600)
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("row", name=re.compile("^gateway.*log.*[1-9]", re.IGNORECASE))).to_be_visible()


def test_the_settings_in_force_can_be_found(server: Server, visits: Visits) -> None:
    """By a part of their name."""
    page = visits.open(server, "/system#settings")
    page.get_by_role("textbox", name="Filter settings").fill("cache_s")
    expect(page.get_by_role("row", name=re.compile("query.cache_s"))).to_contain_text("120")
    expect(page.get_by_role("row")).to_have_count(2)
