"""Where things are on the search page, as a person or a screen reader finds them."""

from __future__ import annotations

import re
import time

from playwright.sync_api import Locator, Page, expect

from tests.browser.visits import TIMEOUT_MS


def rows(page: Page) -> Locator:
    """The lines that are on the screen; those still on their way are busy."""
    return page.get_by_role("grid", name="Log lines").locator("[role=row][aria-busy=false]")


def query(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Query")


def search(page: Page, text: str) -> None:
    """Types over the query that stands there, and presses Enter."""
    query(page).click()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.type(text)
    # The list of completions would take the first Enter.
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")


def expect_query(page: Page, pattern: str) -> None:
    """Waits until the query line reads so. It is a plain line at first, an editor from its first use on."""
    deadline = time.monotonic() + TIMEOUT_MS / 1000
    while not re.fullmatch(pattern, text := _text(query(page))):
        assert time.monotonic() < deadline, f"the query is {text!r}, not {pattern!r}"
        page.wait_for_timeout(50)


_TEXT = """
(line) => "value" in line ? line.value : line.querySelector(".cm-placeholder") ? "" : line.innerText
"""


def _text(line: Locator) -> str:
    text: str = line.evaluate(_TEXT)
    return text.strip()


def total(page: Page) -> Locator:
    """How many events there are, as the histogram's head says."""
    return page.get_by_role("region", name="Histogram").get_by_role("status").locator("strong")


def shown_total(page: Page) -> int:
    """The same as a number, when it is there."""
    expect(page.get_by_role("region", name="Histogram")).to_have_attribute("aria-busy", "false")
    expect(total(page)).not_to_have_text("–")
    return int(total(page).inner_text().replace(",", ""))
