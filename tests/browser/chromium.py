"""Debian's Chromium, driven by Playwright. The browsers that Playwright would download are never used."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.local.process import Missing
from playwright.sync_api import Browser, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def executable() -> str:
    """Raises `Missing` where there is none."""
    for program in PROGRAMS:
        if (path := shutil.which(program)) is not None:
            return path
    raise Missing("chromium is not on the PATH (Debian: apt-get install chromium)")


@contextmanager
def launched(*arguments: str) -> Iterator[Browser]:
    """A browser without a window. Raises `Missing` when the machine has no Chromium."""
    path = executable()
    # Chromium's sandbox does not start for root, who owns the containers that CI runs in.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*sandbox, *arguments])
        try:
            yield browser
        finally:
            browser.close()
