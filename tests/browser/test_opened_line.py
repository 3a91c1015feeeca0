"""A line is opened: its fields, the lines around it, its link."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.results import rows
from tests.browser.visits import Visits
from tests.server import Server


def opened(page: Page) -> Locator:
    return page.get_by_role("region", name="Opened line")


def test_an_opened_line_has_every_field_and_its_json(server: Server, visits: Visits) -> None:
    """What the API tells of the event is there, to the microsecond."""
    page = visits.open(server, "/?start=2h&q=_exists_:exception.stacktrace")
    rows(page).first.click()
    expect(opened(page).get_by_role("rowheader", name="exception.stacktrace")).to_be_visible()
    opened(page).get_by_role("tab", name="JSON").click()
    event = server.get_json("/api/search?start=2h&limit=1&q=_exists_:exception.stacktrace")["events"][0]
    expect(opened(page)).to_contain_text(f'"id": "{event["id"]}"')
    expect(opened(page)).to_contain_text(event["timestamp"])


def test_the_lines_around_it_are_those_of_its_service_and_host(server: Server, visits: Visits) -> None:
    """In order of time, the opened one in their midst, and more on request."""
    page = visits.open(server, "/?start=2h&q=service:auth%20level:ERROR")
    rows(page).nth(3).click()
    opened(page).get_by_role("tab", name="Lines around").click()
    lines = opened(page).get_by_role("listitem")
    expect(lines).to_have_count(21)
    times = opened(page).locator("li time").evaluate_all("all => all.map((each) => each.dateTime)")
    assert times == sorted(times)
    expect(opened(page).locator("[aria-current=true]")).to_have_count(1)
    opened(page).get_by_role("button", name="20 more before").click()
    expect(lines).to_have_count(41)
    page.get_by_role("radiogroup", name="Lines from where").locator("label").last.click()
    expect(lines.filter(has_text=re.compile("edge-gateway|checkout|catalog")).first).to_be_visible()


def test_a_copied_link_opens_the_same_event_for_somebody_else(server: Server, visits: Visits) -> None:
    """Also when it stands far behind the first page."""
    page = visits.open(server, "/?start=2h&q=level:FATAL")
    rows(page).nth(5).click()
    opened(page).get_by_role("tab", name="JSON").click()
    event_id = re.compile(r'"id": "[\d-]+"').search(opened(page).inner_text())
    assert event_id is not None
    opened(page).get_by_role("button", name="Copy", exact=True).click()
    page.get_by_role("menuitem", name="Copy the link to it").click()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(server.url)
    other = visits.open(server, link.removeprefix(server.url).replace("q=level%3AFATAL", "q="))
    opened(other).get_by_role("tab", name="JSON").click()
    expect(opened(other)).to_contain_text(event_id[0])


def test_a_field_becomes_a_column_and_goes_again(server: Server, visits: Visits) -> None:
    """The address keeps the columns, and so a link shows them."""
    page = visits.open(server, "/?start=2h&q=_exists_:latency_ms")
    rows(page).first.click()
    opened(page).get_by_role("button", name="Show latency_ms as a column").click()
    expect(opened(page).get_by_role("button", name="Hide the column latency_ms")).to_be_visible()
    opened(page).get_by_role("button", name="Close (Esc)").click()
    column = page.get_by_role("columnheader", name="latency_ms")
    expect(column).to_be_visible()
    assert rows(page).locator("[data-column=latency_ms]").first.inner_text().isdigit()
    page.reload()
    expect(column).to_be_visible()
    fields = page.get_by_role("region", name="Fields", exact=True)
    fields.get_by_role("button", name="Hide the column latency_ms").click()
    expect(column).to_have_count(0)
