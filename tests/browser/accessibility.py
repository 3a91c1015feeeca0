"""axe's judgement of a page. Nothing serious or critical may be found."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_AXE = Axe()
_OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
_SETTLED = """() => Promise.all(
  document.getAnimations()
    .filter((each) => each.effect?.getComputedTiming().endTime !== Infinity)
    .map((each) => each.finished.catch(() => null))
).then(() => null)"""


def serious(page: Page) -> list[str]:
    """A line for each finding that shuts somebody out: its rule, where, and what is wrong."""
    # A colour that is on its way to another one is neither.
    page.evaluate(_SETTLED)
    return [
        f"{found['id']}: {node['target']} {node['html'][:160]} {node['failureSummary']}"
        for found in _AXE.run(page, options=_OPTIONS).response["violations"]
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"]
    ]
