from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tailrace.commands.demo import DemoSwitch
from tailrace.serve.app import create_app
from tailrace.serve.protocols import protocol_routers
from tests.serve.conftest import Client, House

DOCS = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.fixture
def openapi(house: House) -> dict[str, Any]:
    places = replace(house.places, demo=DemoSwitch(lambda _: None, lambda: 0))
    return create_app(places, routers=protocol_routers(places.gateway, places.metrics)).openapi()


def _operations(openapi: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_every_operation_is_described(openapi: dict[str, Any]) -> None:
    """Each has a summary and a description, and so has each of its parameters; errors are problem documents."""
    for method, path, operation in _operations(openapi):
        assert operation["summary"], (method, path)
        assert operation["description"], (method, path)
        assert "422" not in operation["responses"], (method, path)
        assert "400" in operation["responses"], (method, path)
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (method, path, parameter["name"])


def test_every_schema_has_an_example(openapi: dict[str, Any]) -> None:
    """Someone who reads the description of a shape sees one."""
    for name, schema in openapi["components"]["schemas"].items():
        assert schema.get("examples") or schema.get("example"), name


def test_the_documentation_names_every_path_and_parameter(openapi: dict[str, Any]) -> None:
    """docs/api.md has `METHOD /path` of every route, and under it each of its parameters."""
    text = DOCS.read_text()
    for method, path, operation in _operations(openapi):
        place = text.find(f"\n### `{method} {path}`\n")
        if place < 0:
            place = text.find(f"| `{method} {path}` |")
        assert place >= 0, f"docs/api.md lacks {method} {path}"
        section = re.split(r"\n###? ", text[place + 4 :], maxsplit=1)[0]
        for parameter in operation.get("parameters", []):
            name = parameter["name"]
            shared = name in {"q", "start", "end"} and "\n## Counting\n" in text[:place]
            assert shared or f"`{name}`" in section or f"{{{name}}}" in section, (method, path, name)


def test_the_documentation_names_no_path_that_is_not_there(openapi: dict[str, Any]) -> None:
    """Every heading of a route in docs/api.md is a route."""
    there = {f"{method} {path}" for method, path, _ in _operations(openapi)}
    named = set(re.findall(r"^### `([A-Z]+ \S+)`$", DOCS.read_text(), re.MULTILINE))
    assert named <= there
    assert len(named) > 10


def test_the_page_lists_the_api_without_any_script(client: Client) -> None:
    """/docs names every path, and loads nothing."""
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in page.text
    assert "<script" not in page.text
    assert "http" not in page.text.replace("HTTP", "").replace("http.status", "")
