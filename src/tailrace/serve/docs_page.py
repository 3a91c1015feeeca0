"""`/docs`: a plain page that lists the API, made of the OpenAPI document: no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any


def docs_page(openapi: Mapping[str, Any]) -> str:
    info = openapi["info"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>{escape(info['title'])} API</title><h1>{escape(info['title'])} API {escape(info['version'])}</h1>",
        '<p>For programs: <a href="/openapi.json">openapi.json</a></p>',
    ]
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            parts += _operation(method, path, operation)
    return "\n".join(parts) + "</html>\n"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
    yield f"<p><strong>{escape(operation['summary'])}.</strong> {escape(operation.get('description', ''))}</p>"
    if parameters := operation.get("parameters"):
        yield "<dl>"
        for each in parameters:
            yield f"<dt><code>{escape(each['name'])}</code></dt><dd>{escape(each.get('description', ''))}</dd>"
        yield "</dl>"
