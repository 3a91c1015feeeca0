"""`python -m tests.browser.screenshots`: each page, light and dark, on a phone, a laptop and a large screen.

All go to `bench/out/screenshots`, to be looked at; those of the documentation also to `docs/screenshots`.
"""

from __future__ import annotations

import base64
import itertools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import orjson
from playwright.sync_api import Browser, Page

from tests.browser.chromium import launched
from tests.browser.events import coming, send_broken, send_hostile, send_loghub, send_recent
from tests.loghub import LOGHUB
from tests.server import Server

OUT = Path("bench/out/screenshots")
DOCS = Path("docs/screenshots")
SCHEMES = ("light", "dark")
SIZES = {390: 844, 1280: 800, 2560: 1440}
"""Heights by width."""

WEBP_QUALITY = 80
DOCS_SCALE = 1.5
"""Sharp on a dense screen, and still small enough for git."""

SQL = "SELECT service, level, count(*) AS events FROM logs WHERE level IS NOT NULL GROUP BY ALL ORDER BY events DESC"


def main() -> None:
    chosen = sys.argv[1:] or list(PAGES)
    OUT.mkdir(parents=True, exist_ok=True)
    DOCS.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder) / "filled") as filled,
        Server(Path(folder) / "empty") as empty,
        launched() as browser,
    ):
        fill(filled)
        with coming(filled, 200):
            for name, scheme in itertools.product(chosen, SCHEMES):
                if (name, scheme) == ("hostile", SCHEMES[0]):
                    send_hostile(filled)  # by now the pictures that others see are taken
                server = empty if name == "start" else filled
                for width in SIZES:
                    shoot(browser, server, name, scheme, width)
                if (name, scheme) in IN_DOCS:
                    shoot(browser, server, name, scheme, 1280, docs=True)
    taken = sorted(DOCS.glob("*.webp"))
    print(f"{OUT} and {DOCS}: {sum(path.stat().st_size for path in taken) / 1000:.0f} kB in {len(taken)} pictures")


def fill(server: Server) -> None:
    send_recent(server, 60_000)
    if LOGHUB.is_dir():
        send_loghub(server, "OpenSSH", "HDFS", "Zookeeper")
    for word in ("order", "refund", "invoice"):
        send_broken(server, word)
    saved = [
        ("Payments that fail", "search", {"q": "level:>=ERROR AND service:payments", "start": "1h"}),
        (
            "Slow requests",
            "search",
            {"q": "latency_ms:>1000", "start": "6h", "columns": ["service", "latency_ms", "message"]},
        ),
        ("Events by service and level", "sql", {"query": SQL}),
    ]
    for name, kind, state in saved:
        body = orjson.dumps({"name": name, "kind": kind, "state": state})
        server.request("POST", "/api/saved", body, {"content-type": "application/json"})
    server.wait_stored()


def shoot(browser: Browser, server: Server, name: str, scheme: str, width: int, *, docs: bool = False) -> None:
    context = browser.new_context(
        base_url=server.url,
        viewport={"width": width, "height": SIZES[width]},
        device_scale_factor=DOCS_SCALE if docs else 1,
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="Europe/Berlin",
    )
    try:
        page = context.new_page()
        PAGES[name](page)
        page.wait_for_timeout(700)
        if docs:
            webp(page, DOCS / f"{name}-{scheme}.webp")
        else:
            page.screenshot(path=OUT / f"{name}-{scheme}-{width}.png")
    finally:
        context.close()


def webp(page: Page, path: Path) -> None:
    """A quarter of the size of a PNG; Playwright itself does not write it."""
    devtools = page.context.new_cdp_session(page)
    taken = devtools.send("Page.captureScreenshot", {"format": "webp", "quality": WEBP_QUALITY})
    path.write_bytes(base64.b64decode(taken["data"]))


def search(page: Page) -> None:
    page.goto("/?start=1h&q=level:>=INFO AND service:(payments OR checkout OR cart)")
    page.wait_for_load_state("networkidle")


def opened(page: Page) -> None:
    page.goto("/?start=1h&q=level:ERROR")
    page.wait_for_load_state("networkidle")
    page.keyboard.press("j")
    page.keyboard.press("Enter")


def wrong_query(page: Page) -> None:
    page.goto("/?start=1h&q=level:ERROR%20AND%20(card")
    page.wait_for_load_state("networkidle")


def nothing_found(page: Page) -> None:
    page.goto("/?start=1h&q=service:nowhere")
    page.wait_for_load_state("networkidle")


def hostile(page: Page) -> None:
    page.goto("/?start=1h&q=service:hostile")
    page.wait_for_load_state("networkidle")
    page.keyboard.press("j")
    page.keyboard.press("Enter")


def live(page: Page) -> None:
    page.goto("/live")
    page.wait_for_timeout(6_000)


def sql(page: Page) -> None:
    page.goto(f"/sql?query={SQL}")
    page.get_by_role("button", name="Run").first.click()
    page.wait_for_load_state("networkidle")


def system(page: Page) -> None:
    page.goto("/system")
    page.wait_for_timeout(6_000)  # rates are differences between polls


def at(path: str) -> Callable[[Page], None]:
    def go(page: Page) -> None:
        page.goto(path)
        page.wait_for_load_state("networkidle")

    return go


PAGES: dict[str, Callable[[Page], None]] = {
    "search": search,
    "opened": opened,
    "wrong_query": wrong_query,
    "nothing_found": nothing_found,
    "live": live,
    "sql": sql,
    "saved": at("/saved"),
    "system": system,
    "start": at("/start"),
    "hostile": hostile,
}

IN_DOCS = {
    ("search", "light"),
    ("search", "dark"),
    ("opened", "light"),
    ("live", "dark"),
    ("sql", "light"),
    ("system", "dark"),
}
"""The pictures that the documentation shows."""

if __name__ == "__main__":
    main()
