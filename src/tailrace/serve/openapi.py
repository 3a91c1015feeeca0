"""The OpenAPI document, finished: errors as the problem documents they are, and an example for every shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI

from tailrace.serve.problems import PROBLEM_JSON

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_VALIDATION_SCHEMAS = ("HTTPValidationError", "ValidationError")


def finished_openapi(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """What `app.openapi` is to be: made once, of what FastAPI makes."""
    make = app.openapi
    made: list[dict[str, Any]] = []

    def openapi() -> dict[str, Any]:
        if not made:
            made.append(finish(make()))
        return made[0]

    return openapi


def finish(document: dict[str, Any]) -> dict[str, Any]:
    """The document, changed in place."""
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["responses"] = _responses(operation["responses"])
    schemas = document["components"]["schemas"]
    for name in _VALIDATION_SCHEMAS:
        schemas.pop(name, None)
    for schema in schemas.values():
        schema.setdefault("examples", [example_of(schema, schemas)])
    return document


def _responses(responses: Mapping[str, Any]) -> dict[str, Any]:
    """FastAPI describes 422, which is never answered here, and problem documents as plain JSON.

    An error that a route describes itself is left as it is: protocols of others have errors of their own.
    """
    finished = {status: answer for status, answer in responses.items() if status != "422"}
    for status, answer in finished.items():
        told = answer.get("content", {}).get("application/json", {}).get("schema", _PROBLEM)
        if status >= "400" and told == _PROBLEM:
            answer["content"] = {PROBLEM_JSON: {"schema": _PROBLEM}}
    return finished


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A value of this shape, made of the examples of its parts."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if schema.get("examples"):
        return schema["examples"][0]
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas)
    kind = schema.get("type")
    if kind == "object":
        return {name: example_of(part, schemas) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [example_of(schema["items"], schemas)] if schema.get("items") else []
    return {"integer": 1, "number": 1.0, "boolean": True, "string": "text"}.get(str(kind))
