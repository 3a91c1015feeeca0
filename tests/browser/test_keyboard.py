"""Everything without a mouse."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.results import expect_query, query, rows
from tests.browser.visits import Visits
from tests.server import Server


def test_search_is_used_by_keys_alone(server: Server, visits: Visits) -> None:
    """`/` types, `j` and `k` choose, Enter opens, `c` shows what is around, Escape closes, `t` asks for a time."""
    page = visits.open(server, "/?start=2h")
    expect(rows(page).first).to_be_visible()
    page.keyboard.press("/")
    expect(query(page)).to_be_focused()
    page.keyboard.type("level:WARN", delay=30)
    page.keyboard.press("Enter")
    expect_query(page, "level:WARN")
    expect(page.get_by_role("main")).to_contain_text(re.compile("of [0-9,]+ lines"))
    query(page).blur()
    for key in "jjk":
        page.keyboard.press(key)
    current = page.locator("[role=row][data-current=true]")
    expect(current).to_have_attribute("data-index", "0")
    page.keyboard.press("Enter")
    opened = page.get_by_role("region", name="Opened line")
    expect(opened).to_contain_text("WARN")
    page.keyboard.press("c")
    expect(opened.get_by_role("tab", name="Lines around")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(opened).to_have_count(0)
    page.keyboard.press("t")
    expect(page.get_by_role("textbox", name="Type a time")).to_be_focused()
    page.keyboard.press("Escape")


def test_pages_and_help_are_a_key_away(server: Server, visits: Visits) -> None:
    """`l` goes to Live with the same query, `s` back, `?` shows every key; a dialog keeps the focus."""
    page = visits.open(server, "/?start=2h&q=level:ERROR")
    expect(rows(page).first).to_be_visible()
    page.keyboard.press("l")
    expect(page).to_have_url(re.compile(r"/live\?q=level"))
    page.keyboard.press("s")
    expect(page).to_have_url(re.compile(r"/\?q=level"))
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    expect(keys).to_contain_text("Type a query")
    for _ in range(4):
        page.keyboard.press("Tab")
    assert keys.evaluate("dialog => dialog.contains(document.activeElement)")
    page.keyboard.press("Escape")
    expect(keys).to_have_count(0)


def test_the_first_tab_leads_past_the_navigation(server: Server, visits: Visits) -> None:
    """As screen readers' users expect of any page."""
    page = visits.open(server, "/")
    expect(rows(page).first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
