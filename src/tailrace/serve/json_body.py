"""A request's JSON body as a model: what is wrong with it is told with its place and with an example."""

from __future__ import annotations

from typing import TypeVar

import orjson
from fastapi import Request
from pydantic import BaseModel, ValidationError

from tailrace.errors import BadInput, TooLarge

_Model = TypeVar("_Model", bound=BaseModel)


async def read_json(
    request: Request, model: type[_Model], *, bytes_max: int, example: str, empty: bytes = b""
) -> _Model:
    """`empty` stands for a body without a byte.

    Raises `TooLarge`, and `BadInput` that names the first wrong member.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > bytes_max:
            raise TooLarge(f"the request is larger than {bytes_max:,} bytes")
    try:
        return model.model_validate(orjson.loads(body or empty))
    except orjson.JSONDecodeError as error:
        raise BadInput(f"the body is not JSON: {error}; send {example}") from error
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(str(part) for part in wrong["loc"]) or "the body"
        raise BadInput(f"{place}: {wrong['msg']}; send {example}") from error
