"""What holds for each page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import serious
from tests.browser.results import rows
from tests.browser.visits import Visits
from tests.server import Server

PAGES = {
    "search": "/?start=2h",
    "live": "/live",
    "sql": "/sql?query=SELECT level, count(*) AS n FROM logs GROUP BY ALL",
    "saved": "/saved",
    "system": "/system",
    "dead letters": "/system#dead-letters",
    "settings": "/system#settings",
    "start": "/start",
}


def settle(page: Page) -> None:
    expect(page.get_by_role("main")).not_to_be_empty()
    expect(page.locator("main [aria-busy=true]")).to_have_count(0)


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(server: Server, visits: Visits, name: str) -> None:
    """In both colours: names, roles, order, and the contrast of WCAG 2.2 AA."""
    page = visits.open(server, PAGES[name], color_scheme="light", reduced_motion="reduce")
    settle(page)
    assert serious(page) == []
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    expect(page.locator("html[data-mantine-color-scheme=dark]")).to_have_count(1)
    assert serious(page) == []


@pytest.mark.parametrize("tab", ["Fields", "Lines around", "JSON"])
def test_axe_finds_nothing_serious_in_an_opened_line(server: Server, visits: Visits, tab: str) -> None:
    """The fullest page there is."""
    page = visits.open(server, "/?start=2h&q=level:ERROR", reduced_motion="reduce")
    rows(page).first.click()
    page.get_by_role("region", name="Opened line").get_by_role("tab", name=tab).click()
    settle(page)
    assert serious(page) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_it_without_scrolling_sideways(server: Server, visits: Visits, name: str) -> None:
    """Nothing is wider than the screen, and what can be pressed is large enough for a finger."""
    page = visits.open(server, PAGES[name], viewport={"width": 390, "height": 844}, has_touch=True)
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    boxes = page.get_by_role("navigation", name="Pages").get_by_role("link").all()
    assert all((box := link.bounding_box()) is not None and box["height"] >= 24 for link in boxes)


def test_colours_follow_the_system_until_one_chooses(server: Server, visits: Visits) -> None:
    """The choice is kept over a reload, and there is no flash of the other one."""
    page = visits.open(server, "/saved", color_scheme="dark")
    scheme = page.locator("html[data-mantine-color-scheme]")
    expect(scheme).to_have_attribute("data-mantine-color-scheme", "dark")
    page.get_by_role("button", name="Light colours").click()
    expect(scheme).to_have_attribute("data-mantine-color-scheme", "light")
    page.reload(wait_until="commit")
    assert page.evaluate("document.documentElement.dataset.mantineColorScheme") == "light"


def test_nothing_moves_for_those_who_ask_for_it(server: Server, visits: Visits) -> None:
    """With reduced motion no animation runs for longer than a blink."""
    page = visits.open(server, "/system", reduced_motion="reduce")
    settle(page)
    running = "document.getAnimations().filter((each) => each.effect.getComputedTiming().activeDuration > 100).length"
    assert page.evaluate(running) == 0
