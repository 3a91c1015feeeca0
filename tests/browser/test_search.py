"""Search: from typing a query to filtering by clicking."""

from __future__ import annotations

import re
import urllib.parse

from playwright.sync_api import Page, expect

from tests.browser.results import expect_query, query, rows, search, shown_total, total
from tests.browser.visits import Visits
from tests.server import Server


def open_search(server: Server, visits: Visits, q: str = "", **options: object) -> Page:
    page = visits.open(server, "/?start=2h" + (f"&q={urllib.parse.quote(q)}" if q else ""), **options)
    expect(rows(page).first).to_be_visible()
    return page


def count(server: Server, q: str) -> int:
    found: int = server.get_json("/api/count?" + urllib.parse.urlencode({"start": "2h", "q": q}))["count"]
    return found


def test_a_query_is_typed_with_completion_and_entered(server: Server, visits: Visits) -> None:
    """Fields and values are offered; Enter shows just the events that the API counts, in table and histogram."""
    page = open_search(server, visits)
    page.keyboard.press("/")
    page.keyboard.type("serv", delay=120)
    page.get_by_role("option", name=re.compile("^service")).first.click()
    page.keyboard.type("paym")
    page.get_by_role("option", name=re.compile("^payments")).first.click()
    page.keyboard.type(" AND level:ERROR")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    wanted = count(server, "service:payments AND level:ERROR")
    expect(page.get_by_role("main")).to_contain_text(f"of {wanted:,} lines")
    assert shown_total(page) == wanted
    assert set(rows(page).locator("[data-column=service]").all_inner_texts()) == {"payments"}
    assert set(rows(page).locator("[data-column=level]").all_inner_texts()) == {"ERROR"}
    assert "payments" in urllib.parse.unquote(page.url)
    page.go_back()
    expect_query(page, r"")


def test_a_wrong_query_is_marked_under_its_column(server: Server, visits: Visits) -> None:
    """The server's words stand below the line, the mark under what they speak of, and the mended query works."""
    visits.allow("400")
    page = open_search(server, visits)
    search(page, "service:payments AND level:loud")
    expect(page.get_by_role("alert").first).to_contain_text("'loud' is not a level")
    expect(query(page).locator("[class*=problem]")).to_have_text("loud")
    search(page, "service:payments AND level:WARN")
    expect(rows(page).first).to_contain_text("WARN")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_values_are_filtered_for_and_out_by_clicking(server: Server, visits: Visits) -> None:
    """In an opened line, in the list of fields and in the histogram's legend; the query says what was clicked."""
    page = open_search(server, visits, "_exists_:region")
    clicked = rows(page).nth(9)
    service = clicked.locator("[data-column=service]").inner_text()
    clicked.click()
    opened = page.get_by_role("region", name="Opened line")
    opened.get_by_role("button", name="Only lines with this service").click()
    expect_query(page, f"_exists_:region (AND )?service:{service}")
    page.get_by_role("list", name="By level").get_by_role("button", name="INFO").click()
    expect_query(page, ".* AND level:INFO")
    assert shown_total(page) == count(server, f"service:{service} level:INFO")
    fields = page.get_by_role("region", name="Fields")
    fields.get_by_role("button", name=re.compile("^host ")).click()
    fields.get_by_role("button", name=f"No lines with host {service}-1").click()
    expect_query(page, rf".* level:INFO (AND )?(NOT |-)host:{service}-1")
    assert shown_total(page) == count(server, f"service:{service} level:INFO NOT host:{service}-1")


def test_a_drag_over_the_histogram_zooms_and_back_comes_back(server: Server, visits: Visits) -> None:
    """The times are in the address, and the browser's own way back works too."""
    page = open_search(server, visits)
    before, address = shown_total(page), page.url
    box = page.get_by_role("slider", name="Bars of the histogram").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.7, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, middle, steps=5)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"start=\d{4}-\d\d-\d\d"))
    assert 0 < shown_total(page) < before
    page.get_by_role("region", name="Histogram").get_by_role("button", name="Unzoom").click()
    expect(page).to_have_url(address)
    expect(total(page)).to_have_text(f"{before:,}")


def test_a_time_is_typed_in_words(server: Server, visits: Visits) -> None:
    """`t`, a time as one says it, Enter; what it means is shown while it is typed."""
    page = open_search(server, visits)
    page.keyboard.press("t")
    typed = page.get_by_role("textbox", name="Type a time")
    typed.fill("last 45 minutes")
    expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text("45 minutes")
    typed.press("Enter")
    expect(page.get_by_role("button", name="Time: Last 45 minutes")).to_be_visible()
    expect(typed).to_be_hidden()
    page.keyboard.press("t")
    page.get_by_role("button", name="All time").click()
    everything = server.get_json("/api/count")["count"]
    expect(page.get_by_role("main")).to_contain_text(f"of {everything:,} lines")


def test_nothing_found_says_what_to_do(server: Server, visits: Visits) -> None:
    """Events outside the range are one click away."""
    page = visits.open(server, "/?start=1m&q=level:FATAL%20AND%20service:hostile")
    expect(page.get_by_role("main")).to_contain_text("No lines")


def test_the_lines_go_on_as_one_scrolls(server: Server, visits: Visits) -> None:
    """Far down, still in order of time and without a gap."""
    page = open_search(server, visits)
    grid = page.get_by_role("grid", name="Log lines")
    for _ in range(12):
        grid.evaluate("box => { box.scrollTop += 9000 }")
        page.wait_for_timeout(150)
    expect(rows(page).first).to_be_visible()
    expect(page.locator("[role=row][aria-busy=true]")).to_have_count(0)
    times = rows(page).locator("time").evaluate_all("all => all.map((each) => each.dateTime)")
    assert times == sorted(times, reverse=True)
    assert int(str(rows(page).first.get_attribute("data-index"))) > 1000
