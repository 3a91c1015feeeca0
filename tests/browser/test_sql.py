"""SQL: run, chart, cancel, and what is wrong."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.visits import Visits
from tests.server import Server

LEVELS = "SELECT level, count(*) AS events FROM logs GROUP BY ALL ORDER BY events DESC"
FOREVER = "SELECT count(*) FROM logs a, logs b, logs c, logs d WHERE a.message < b.message AND c.message < d.message"


def run(page: Page, statement: str) -> None:
    expect(page.locator(".cm-content[aria-label='SQL statement']")).to_be_editable()
    page.get_by_role("textbox", name="SQL statement").click()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.insert_text(statement)
    page.keyboard.press("ControlOrMeta+Enter")


def test_a_statement_gives_a_table_with_its_cost_and_a_chart(server: Server, visits: Visits) -> None:
    """Every level has its row, time and bytes are told, and the link shows the same chart to somebody else."""
    page = visits.open(server, "/sql")
    run(page, LEVELS)
    grid = page.get_by_role("grid", name="Result")
    expect(grid.get_by_role("columnheader", name="events")).to_be_visible()
    expect(grid.get_by_role("gridcell", name="INFO")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text=re.compile(r"\d rows.*\d+(\.\d+)? m?s"))).to_be_visible()
    page.get_by_role("radiogroup", name="Show the result as").locator("label", has_text="Chart").click()
    bars = page.get_by_role("main").get_by_role("list").filter(has_text="INFO")
    expect(bars).to_be_visible()
    other = visits.open(server, page.url.removeprefix(server.url))
    expect(other.get_by_role("main").get_by_role("list").filter(has_text="INFO")).to_be_visible()


def test_a_running_statement_is_cancelled(server: Server, visits: Visits) -> None:
    """The page says so, and the next statement runs at once."""
    page = visits.open(server, "/sql")
    run(page, FOREVER)
    expect(page.get_by_role("timer")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled", exact=True)).to_be_visible()
    run(page, LEVELS)
    expect(page.get_by_role("gridcell", name="INFO")).to_be_visible()


def test_a_wrong_statement_says_where_and_keeps_what_was_typed(server: Server, visits: Visits) -> None:
    """DuckDB's own words, with line and column."""
    visits.allow("400")
    page = visits.open(server, "/sql")
    run(page, "SELECT level,\n  nope\nFROM logs")
    expect(page.get_by_role("alert")).to_contain_text("Line 2, column 3")
    expect(page.get_by_role("alert")).to_contain_text("nope")
    expect(page.get_by_role("textbox", name="SQL statement")).to_contain_text("nope")
