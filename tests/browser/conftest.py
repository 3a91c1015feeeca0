"""One browser and one filled server for all stories; a context of its own, watched, for each.

Both end with the last story: while a browser is driven, an event loop runs in the process, and no other test could
run one.

Without Chromium the stories are skipped loudly, and fail in CI.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy.local.process import Missing
from playwright.sync_api import Browser, expect

from tests.browser.chromium import launched
from tests.browser.events import send_hostile, send_loghub, send_recent
from tests.browser.visits import TIMEOUT_MS, Visits
from tests.loghub import LOGHUB
from tests.server import Server

HERE = Path(__file__).parent
expect.set_options(timeout=TIMEOUT_MS)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the stories on one worker, so that they share browser and server."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    try:
        with launched() as browser:
            yield browser
    except Missing as e:
        if os.environ.get("CI"):
            pytest.fail(f"the dashboard has to be tested here, but {e}")
        pytest.skip(f"the dashboard is NOT TESTED: {e}")


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Holds 20,000 events of the last hour, the hostile ones, and real log files where the machine has them.

    Shared: a story may send more, of a service of its own.
    """
    with Server(tmp_path_factory.mktemp("dashboard") / "data") as running:
        send_recent(running, 20_000)
        send_hostile(running)
        if LOGHUB.is_dir():
            send_loghub(running, "OpenSSH", "HDFS")
        running.wait_stored()
        yield running


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """Empty, for this story alone: to be filled, killed and started again."""
    with Server(tmp_path / "data") as running:
        yield running


@pytest.fixture
def visits(chromium: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Visits]:
    """Pages of this story. At its end none may have done what no page may; a failed story leaves pictures."""
    opened = Visits(chromium)
    failed_before = request.session.testsfailed
    yield opened
    problems = opened.problems
    if problems or request.session.testsfailed > failed_before:
        print("pictures:", *opened.picture(tmp_path))
    opened.close()
    assert not problems, "\n".join(problems)
