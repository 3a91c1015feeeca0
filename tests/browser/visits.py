"""Pages that a story opens, and what no page may do: errors on the console, dialogs, requests to other hosts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, WebError

from tests.server import Server

TIMEOUT_MS = 15_000
"""How long a page may take to show something: long, as the machine also runs the other tests."""

_SETTINGS: dict[str, Any] = {
    "locale": "en-GB",
    "timezone_id": "Europe/Berlin",  # neither the server's nor UTC
    "viewport": {"width": 1280, "height": 800},
    "permissions": ["clipboard-read", "clipboard-write"],
}

_REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`${event.violatedDirective} blocked ${event.blockedURI} ${event.sample}`,
    `at ${event.sourceFile}:${event.lineNumber}:${event.columnNumber}`));
"""


# Chromium itself wants to put a style on text that is typed over a coloured selection: no script is behind it.
_OF_EDITING = r"style-src-attr blocked inline +at :0:0|sha256-qxOVJN73anXjmOdulX3uN7PYZt2jKQKMOACKKHF42Kc="


class Visits:
    """The pages that a story opens, each as a person of their own, and what they did that no page may."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._seen: list[str] = []
        self._allowed = [re.compile(_OF_EDITING)]

    def open(self, server: Server, path: str = "/", **options: Any) -> Page:
        """A new person's page at `path`; `options` are those of Playwright's contexts."""
        context = self._browser.new_context(base_url=server.url, **{**_SETTINGS, **options})
        self._contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        context.add_init_script(_REPORT_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("dialog", self._dialog)
        context.on("request", lambda request: self._request(request, server))
        page = context.new_page()
        page.goto(path)
        return page

    def allow(self, pattern: str) -> None:
        """What a story brings about on purpose: Chromium itself writes refused requests on the console."""
        self._allowed.append(re.compile(pattern))

    @property
    def problems(self) -> list[str]:
        return [text for text in self._seen if not any(pattern.search(text) for pattern in self._allowed)]

    def picture(self, folder: Path) -> list[Path]:
        """A picture of each page as it is now."""
        pages = [page for context in self._contexts for page in context.pages]
        pictures = [folder / f"page-{number}.png" for number in range(len(pages))]
        for page, path in zip(pages, pictures, strict=True):
            page.screenshot(path=path)
        return pictures

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._seen.append(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _error(self, error: WebError) -> None:
        self._seen.append(f"page error: {error.error}")

    def _dialog(self, dialog: Dialog) -> None:
        self._seen.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request, server: Server) -> None:
        if not request.url.startswith((f"{server.url}/", "data:", "blob:")):
            self._seen.append(f"request to another host: {request.url}")
