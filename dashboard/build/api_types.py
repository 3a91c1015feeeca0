"""`python dashboard/build/api_types.py`: writes `src/api/schema.ts`, the page's types of the API.

They are made of the API's description, that of a whole platform: one is started for a moment on an empty folder, and
listens to nobody.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from node_finder import DASHBOARD, BuildError
from page_build import run_script
from tailrace.commands.demo import DemoSwitch
from tailrace.config import Settings
from tailrace.model.clock import system_clock_us
from tailrace.wiring.roles import platform

SCHEMA = DASHBOARD / "src" / "api" / "schema.ts"


def description() -> dict[str, Any]:
    """The OpenAPI document of `tailrace up`."""
    with contextlib.ExitStack() as stack:
        settings = Settings(data=Path(stack.enter_context(tempfile.TemporaryDirectory())))
        make_demo = partial(DemoSwitch, clock=system_clock_us)
        running = stack.enter_context(platform(settings, clock=system_clock_us, make_demo=make_demo))
        assert isinstance(running.app, FastAPI)
        return running.app.openapi()


def write_types(target: Path) -> None:
    """Raises `BuildError`."""
    with tempfile.TemporaryDirectory() as folder:
        openapi = Path(folder) / "openapi.json"
        openapi.write_text(json.dumps(description()))
        if run_script("types", "--", str(openapi), "--output", str(target)) != 0:
            raise BuildError("the types of the API cannot be made; what is wrong stands above")


if __name__ == "__main__":
    try:
        write_types(SCHEMA)
    except BuildError as error:
        sys.exit(str(error))
