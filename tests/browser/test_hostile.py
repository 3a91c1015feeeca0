"""What an attacker may write into a log is shown as the text that it is."""

from __future__ import annotations

import urllib.parse

import pytest
from playwright.sync_api import Page, expect

from tests.browser.events import HOSTILE, send_hostile
from tests.browser.results import rows
from tests.browser.visits import Visits
from tests.server import Server

INJECTED = "#root script, #root img[src='x'], #root marquee, #root [onerror]"


def assert_harmless(page: Page) -> None:
    """No element came out of a text, and the page is as wide as its window."""
    assert page.locator(INJECTED).count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.title().endswith("Tailrace")


@pytest.mark.parametrize("tried", HOSTILE)
def test_a_hostile_line_is_text_in_the_table_and_when_opened(server: Server, visits: Visits, tried: str) -> None:
    """Message, field names and values: no script runs, no control character takes effect, the layout holds."""
    page = visits.open(server, f"/?start=1d&q=service:hostile AND tried:{tried}")
    row = rows(page).first
    expect(row).to_contain_text("hostile")
    assert_harmless(page)
    height = row.bounding_box()
    assert height is not None
    assert height["height"] < 60
    row.click()
    expect(page.get_by_text(f"key <marquee>{tried}").first).to_be_visible()
    assert_harmless(page)
    text = page.get_by_role("main").inner_text()
    assert not any(control in text for control in "\x00\x07\x1b")
    match tried:
        case "ansi":
            assert "‹ESC›" in text
        case "nul":
            assert "‹NUL›between‹NUL›" in text
        case "script":
            assert "<script>alert(1)</script>" in text
        case "long":
            assert len(text) < 100_000
            page.get_by_role("button", name="Show all").first.click()
            assert_harmless(page)


def test_live_shows_them_harmlessly(server: Server, visits: Visits) -> None:
    """As they come in, opened, and wrapped."""
    page = visits.open(server, "/live?q=service:hostile")
    lines = page.get_by_role("log")
    expect(page.get_by_role("status").get_by_text("Live", exact=True)).to_be_visible()
    send_hostile(server)
    expect(lines).to_contain_text("<script>alert(1)</script>")
    assert_harmless(page)
    page.get_by_role("button", name="Wrap long lines").click()
    lines.get_by_role("button", name="All fields of the line").first.click()
    assert_harmless(page)


def test_the_results_of_sql_show_them_harmlessly(server: Server, visits: Visits) -> None:
    """As cells, and as the names of columns."""
    statement = "SELECT message AS \"<marquee>\", * FROM logs WHERE service = 'hostile'"
    page = visits.open(server, f"/sql?query={urllib.parse.quote(statement)}")
    expect(page.get_by_role("grid", name="Result")).to_contain_text("<script>alert(1)</script>")
    expect(page.get_by_role("columnheader", name="<marquee>")).to_be_visible()
    assert_harmless(page)
