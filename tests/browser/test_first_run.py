"""Nothing has been sent yet."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from tests.browser.results import rows
from tests.browser.visits import Visits
from tests.server import Server

TOOLS = ("curl", "Python", "Filebeat", "Fluent Bit", "OpenTelemetry", "syslog", "Docker")


def test_an_empty_server_leads_to_the_first_run_and_the_demo_brings_it_alive(
    own_server: Server, visits: Visits
) -> None:
    """From the empty search to rows on the screen without typing and without a reload."""
    page = visits.open(own_server, "/")
    page.get_by_role("main").get_by_role("link", name=re.compile("send", re.IGNORECASE)).click()
    expect(page).to_have_url(re.compile("/start$"))
    expect(page.get_by_role("main")).to_contain_text(f"{own_server.url}/logs")
    expect(page.get_by_text("Waiting for the first event")).to_be_visible()
    page.get_by_role("button", name="Start the demo").click()
    expect(page.get_by_text("Events are here")).to_be_visible()
    page.get_by_role("link", name="Search them").click()
    expect(rows(page).first).to_be_visible()


def test_every_tool_has_a_snippet_for_this_very_server(own_server: Server, visits: Visits) -> None:
    """Nobody has to find out where an address goes."""
    page = visits.open(own_server, "/start")
    for tool in TOOLS:
        page.get_by_role("tab", name=re.compile(tool, re.IGNORECASE)).first.click()
        expect(page.get_by_role("tabpanel")).to_contain_text(str(own_server.port))


@pytest.mark.parametrize(("tool", "shell"), [("curl", ["sh", "-c"]), ("Python", [sys.executable, "-c"])])
def test_a_copied_snippet_works_as_it_is(own_server: Server, visits: Visits, tool: str, shell: list[str]) -> None:
    """What the button copies sends an event, and the page shows it."""
    page = visits.open(own_server, "/start")
    page.get_by_role("tab", name=tool, exact=True).click()
    page.get_by_role("tabpanel").get_by_role("button", name=f"Copy for {tool}").first.click()
    expect(page.get_by_text("Copied").first).to_be_attached()
    snippet = page.evaluate("navigator.clipboard.readText()")
    done = subprocess.run([*shell, snippet], capture_output=True, text=True)
    assert done.returncode == 0, (snippet, done.stderr)
    expect(page.get_by_text("Events are here")).to_be_visible()
    expect(page.get_by_role("region", name="What has arrived")).to_contain_text(
        "card declined" if tool == "curl" else "order A-7 placed"
    )
