"""Searches and statements are saved, and opened by link."""

from __future__ import annotations

import re
import urllib.parse

import pytest
from playwright.sync_api import Page, expect

from tests.browser.results import expect_query, rows
from tests.browser.visits import Visits
from tests.server import Server


def save(page: Page, name: str) -> str:
    """Saves what the page shows; returns the copied link."""
    page.get_by_role("button", name="Save", exact=True).first.click()
    page.get_by_role("textbox", name="Name").fill(name)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Copy link").click()
    page.wait_for_function("name => navigator.clipboard.readText().then(text => text.includes('/saved/'))", arg=name)
    link: str = page.evaluate("navigator.clipboard.readText()")
    return link


def test_a_saved_search_opens_by_its_link_for_somebody_else(server: Server, visits: Visits) -> None:
    """Query, time and columns come along."""
    page = visits.open(server, "/?start=2h&q=level:WARN&columns=" + urllib.parse.quote('["host","message"]'))
    expect(rows(page).first).to_be_visible()
    link = save(page, "Warnings by host")
    other = visits.open(server, link.removeprefix(server.url))
    expect(other.get_by_role("columnheader", name="host")).to_be_visible()
    expect(rows(other).first).to_be_visible()
    expect_query(other, "level:WARN")


def test_a_saved_statement_is_found_renamed_and_deleted(server: Server, visits: Visits) -> None:
    """All of it on the page of saved things; the link of a deleted one says so."""
    visits.allow("404")
    page = visits.open(server, "/sql?query=" + urllib.parse.quote("SELECT 42 AS answer"))
    expect(page.get_by_role("gridcell", name="42")).to_be_visible()
    link = save(page, "The answer")
    page.goto("/saved")
    page.get_by_role("textbox", name="Find something saved").fill("answer")
    page.get_by_role("button", name="More for The answer").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.get_by_role("textbox", name="New name of The answer").fill("The question")
    page.keyboard.press("Enter")
    page.get_by_role("textbox", name="Find something saved").fill("question")
    page.get_by_role("link", name="The question").click()
    expect(page.get_by_role("gridcell", name="42")).to_be_visible()
    page.goto("/saved")
    page.get_by_role("button", name="More for The question").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name="The question")).to_have_count(0)
    page.goto(link)
    expect(page.get_by_text("This is not saved any more")).to_be_visible()


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "\u202egnp.exe"])
def test_a_hostile_name_is_text(server: Server, visits: Visits, name: str) -> None:
    """Somebody else's names are on everybody's page."""
    page = visits.open(server, "/?start=2h")
    save(page, name)
    page.goto("/saved")
    expect(page.get_by_role("link", name=re.compile("onerror|gnp"))).to_have_count(1)
    assert page.locator("img[src=x]").count() == 0
    page.get_by_role("button", name=re.compile("More for .*(onerror|gnp)")).click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name=re.compile("onerror|gnp"))).to_have_count(0)
