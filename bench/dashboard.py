"""The page in Debian's Chromium: what it weighs, how soon it is there, and how it bears many events.

Browser, server and generator share the machine, and the browser draws without a graphics card.
"""

from __future__ import annotations

import random
import re
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page
from tests.browser.chromium import launched
from tests.browser.events import coming, send_recent
from tests.server import Server

from bench import page_probes
from bench.heap import Heap
from bench.queries import rare_words
from bench.report import Row
from bench.server import running

ROW = "[role=row][data-index][aria-busy=false]"
"""A line of the results that is there; those still on their way are busy."""

_LOADS = 7
_SCROLLED_ROWS = 100_000
_SCROLL_MS = 30_000
_LIVE_EVENTS_PER_S = 5_000
_LARGE_SPAN = "start=2025-03-28T09:00&end=2025-03-28T12:00"
"""Holds every event of the large lake."""


def dashboard_rows(folder: Path, large: Path, *, live_s: float, seed: int) -> Iterator[Row]:
    """`large` is the data folder of the lake that is searched and scrolled through."""
    with launched() as browser:
        with running(folder / "page") as server:
            send_recent(server, 20_000)
            server.wait_stored()
            yield script_row(browser, server)
            yield from loading_rows(browser, server)
        with running(large) as server:
            yield search_row(browser, server, seed)
            yield from scroll_rows(browser, server)
        with running(folder / "live") as server:
            yield from live_rows(browser, server, live_s)


def script_row(browser: Browser, server: Server) -> Row:
    """The scripts that the page asks for until it is quiet, as a client gets them that takes gzip and no brotli."""
    scripts: set[str] = set()
    with opened(browser, server) as page:
        page.on("request", lambda request: scripts.add(request.url) if request.resource_type == "script" else None)
        page.goto("/")
        page.wait_for_selector(ROW)
        page.wait_for_load_state("networkidle")
    bytes_sent = 0
    for url in scripts:
        status, body = server.request("GET", url.removeprefix(server.url), headers={"accept-encoding": "gzip"})
        assert status == 200, (url, status)
        bytes_sent += len(body)
    note = f"{len(scripts)} files"
    return Row("dashboard: JavaScript of the search page, gzip", bytes_sent / 1000, "kB", 300, 250, note=note)


def loading_rows(browser: Browser, server: Server) -> Iterator[Row]:
    """Each load in a context of its own, and so with an empty cache."""
    usable, paints, shifts = [], [], []
    for _ in range(_LOADS):
        with opened(browser, server, page_probes.LOADING) as page:
            page.goto("/", wait_until="commit")
            usable.append(page.evaluate(page_probes.USABLE, ROW))
            page.wait_for_load_state("networkidle")
            vitals = page.evaluate("window.loading")
            paints.append(vitals["largestPaintMs"])
            shifts.append(vitals["shift"])
    note = f"worst of {_LOADS}: {max(usable):.0f} ms; empty cache, first rows shown and the query ready for typing"
    yield Row("dashboard: first load to usable", statistics.median(usable), "ms", 1000, 700, note=note)
    yield Row(
        "dashboard: largest contentful paint",
        statistics.median(paints),
        "ms",
        1200,
        800,
        note=f"worst {max(paints):.0f} ms",
    )
    yield Row("dashboard: layout shift while loading", max(shifts), "", 0.02, 0.001, note=f"worst of {_LOADS}")


def search_row(browser: Browser, server: Server, seed: int) -> Row:
    """A rare word typed into a page that shows the newest events; the whole page follows: rows, histogram, fields."""
    size = f"{server.get_json('/api/count')['count'] / 1e6:.0f} M"
    taken = []
    with opened(browser, server) as page:
        page.goto(f"/?{_LARGE_SPAN}")
        page.wait_for_selector(ROW)
        query = page.get_by_role("textbox", name="Query")
        for word in rare_words(server, random.Random(seed)):
            page.wait_for_load_state("networkidle")
            query.fill(word)
            page.evaluate(page_probes.ENTER_TO_ROWS, {"selector": ROW, "word": word})
            query.press("Enter")
            taken.append(page.evaluate("window.enterToRows"))
    note = f"median of {len(taken)}; first {taken[0]:.0f}, worst {max(taken):.0f} ms"
    return Row(
        f"dashboard: Enter to rows, rare word over {size}", statistics.median(taken), "ms", 300, 150, note=note
    )


def scroll_rows(browser: Browser, server: Server) -> Iterator[Row]:
    with opened(browser, server) as page:
        heap = Heap(page)
        page.goto(f"/?{_LARGE_SPAN}")
        page.wait_for_selector(ROW)
        before = heap.used_mib()
        wanted = {"selector": ROW, "rows": _SCROLLED_ROWS, "forMs": _SCROLL_MS}
        scrolled = page.evaluate(page_probes.SCROLL, wanted)
        after = heap.used_mib()
    frames = scrolled["frames"][1:]
    slow = sum(frame > 50 for frame in frames)
    note = (
        f"{scrolled['rows']:,} rows in {scrolled['seconds']:.0f} s; {slow} of {len(frames)} frames over 50 ms; "
        f"at the end of what was loaded for {scrolled['waitedMs'] / 1000:.1f} s"
    )
    rate = 1000 * len(frames) / sum(frames)
    yield Row(f"dashboard: scrolling {_SCROLLED_ROWS // 1000} k rows", rate, "frames/s", 55, 59, True, note)
    yield Row("dashboard: heap after scrolling", after, "MiB", 250, 120, note=f"{before:.0f} MiB before")


def live_rows(browser: Browser, server: Server, live_s: float) -> Iterator[Row]:
    """Somebody watches everything that comes in, and now and then wheels, types and looks for a key."""
    with opened(browser, server, page_probes.INPUT_DELAYS) as page, coming(server, _LIVE_EVENTS_PER_S):
        heap = Heap(page)
        page.goto("/live")
        page.get_by_role("log").get_by_role("button").first.wait_for()
        page.wait_for_timeout(3_000)
        heaps = [heap.used_mib()]
        came, began = server.get_json("/api/count")["count"], time.monotonic()
        query = page.get_by_role("textbox", name="Query")
        page.mouse.move(640, 500)
        while time.monotonic() - began < live_s:
            for _ in range(10):
                query.press("a")
                query.press("Backspace")
                page.mouse.wheel(0, 60)
                page.wait_for_timeout(800)
            heaps.append(heap.used_mib())
        rate = (server.get_json("/api/count")["count"] - came) / (time.monotonic() - began)
        delays = page.evaluate("window.inputDelaysMs")
        skipped = page.get_by_text(re.compile("[0-9,]+ skipped")).inner_text()
        frames = page.evaluate(page_probes.FRAME_RATE, 3_000)
    what = f"dashboard: live for {live_s:.0f} s"
    note = (
        f"{rate:,.0f} events/s came in; from {heaps[0]:.0f} to {heaps[-1]:.0f} MiB; {frames:.0f} frames/s; {skipped}"
    )
    yield Row(f"{what}, heap with workers", max(heaps), "MiB", 150, 80, note=note)
    note = f"of {len(delays)} inputs that took 16 ms or more in all"
    yield Row(f"{what}, worst input delay", max(delays, default=0.0), "ms", 100, 50, note=note)


@contextmanager
def opened(browser: Browser, server: Server, *scripts: str) -> Iterator[Page]:
    """An empty page of a new person, with scripts that run before the page's own."""
    context = browser.new_context(base_url=server.url, viewport={"width": 1280, "height": 800})
    try:
        for script in scripts:
            context.add_init_script(script)
        page = context.new_page()
        yield page
    finally:
        context.close()
