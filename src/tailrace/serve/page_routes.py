"""The dashboard: its page under every address that is a place in it, and the files that the page loads."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from html import escape
from importlib.metadata import version

import orjson
from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from tailrace.serve.page_files import PageFile, PageFiles

PLACES = ("/", "/live", "/patterns", "/sql", "/saved", "/saved/{id}", "/system", "/start")
"""The addresses that the page itself tells apart; a test holds them to its routes."""

_READING = ["GET", "HEAD"]
_NONCE_BYTES = 18
_YEAR_S = 31_536_000

# The names of built files hold a hash of what is in them; those at the root keep their names.
_ASSETS = "assets/"

# Everything from this server alone, scripts only as files, styles only as files or with this answer's nonce.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tailrace</title>
<h1>Tailrace is running</h1>
<p>Its dashboard has not been built yet. In the folder of the source, this builds it and starts Tailrace again:</p>
<pre>make run</pre>
<p>Node is not needed: where there is none, one is fetched for the build alone. Everything else works meanwhile:
<a href="/docs">the HTTP API</a>, and <code>tailrace search</code> on the command line.</p>
</html>
"""


def page_router(page: PageFiles | None, *, features: Sequence[str]) -> APIRouter:
    """`features` names the optional routes that this server has, for the page to offer what belongs to them."""
    router = APIRouter(include_in_schema=False)

    async def place(request: Request) -> Response:
        if page is None:
            return Response(_NOT_BUILT, media_type="text/html", headers={"Cache-Control": "no-cache"})
        nonce = secrets.token_urlsafe(_NONCE_BYTES)
        return Response(
            filled(page.index, nonce=nonce, features=features),
            media_type="text/html",
            headers={"Cache-Control": "no-cache", "Content-Security-Policy": _POLICY.format(nonce=nonce)},
        )

    for path in PLACES:
        router.add_api_route(path, place, methods=_READING)
    if page is None:
        return router

    async def asset(request: Request) -> Response:
        """A file of the page. What is not in it is answered as any other path that leads nowhere."""
        name = request.url.path.removeprefix("/")
        file = page.files.get(name)
        if file is None:
            raise HTTPException(404)
        return _file_response(file, request, forever=name.startswith(_ASSETS))

    for name in page.files:
        if not name.startswith(_ASSETS):
            router.add_api_route(f"/{name}", asset, methods=_READING)
    router.add_api_route(f"/{_ASSETS}{{name:path}}", asset, methods=_READING)
    return router


def filled(index: str, *, nonce: str, features: Sequence[str]) -> str:
    """The page with this answer's nonce and with what it is told of the server."""
    told = orjson.dumps({"version": version("tailrace"), "features": list(features)}).decode()
    return index.replace("__NONCE__", nonce).replace("__PAGE__", escape(told))


def _file_response(file: PageFile, request: Request, *, forever: bool) -> Response:
    content, coding = file.for_client(request.headers.get("accept-encoding", ""))
    etag = f'"{file.etag}-{coding or "plain"}"'
    headers = {
        "Cache-Control": f"public, max-age={_YEAR_S}, immutable" if forever else "no-cache",
        "ETag": etag,
        "Vary": "Accept-Encoding",
    }
    if etag in (each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=headers)
    if coding is not None:
        headers["Content-Encoding"] = coding
    return Response(content, headers=headers, media_type=file.media_type)
