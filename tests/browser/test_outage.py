"""The server goes away under an open page, and comes back."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.events import send_recent
from tests.browser.results import rows
from tests.browser.visits import Visits
from tests.server import Server


def test_a_page_heals_by_itself_when_a_killed_server_is_back(own_server: Server, visits: Visits) -> None:
    """kill -9: the page says so, keeps what it shows, and finds events again without a reload."""
    visits.allow("ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET")
    send_recent(own_server, 2_000)
    own_server.wait_stored()
    page = visits.open(own_server, "/?start=1h")
    expect(rows(page).first).to_be_visible()
    away = page.get_by_text("The server does not answer").first
    expect(away).not_to_be_visible()
    own_server.kill()
    expect(away).to_be_visible()
    expect(rows(page).first).to_be_visible()
    own_server.start()
    expect(away).not_to_be_visible(timeout=30_000)
    own_server.post_logs(b'{"message": "after the restart", "service": "phoenix"}')
    own_server.wait_stored()
    page.get_by_role("textbox", name="Query").fill("service:phoenix")
    page.keyboard.press("Enter")
    expect(rows(page).filter(has_text="after the restart")).to_be_visible()
