"""What shippers ask Elasticsearch before they send: that it is one, that it is well, that their templates are there.

Nothing here keeps anything. A shipper that sets up index templates, lifecycle policies or pipelines is told that it
has, since an event needs none of them.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from tailrace.serve.elasticsearch.answers import PRODUCT, json_answer

VERSION = "8.19.0"
"""Whose API this answers: the newest that clients of 7, 8 and 9 all take."""

_NAME = "tailrace"
_INFO = {
    "name": _NAME,
    "cluster_name": _NAME,
    "cluster_uuid": "dGFpbHJhY2V0YWlscmFjZQ",
    "version": {
        "number": VERSION,
        "build_flavor": "default",
        "build_type": "tar",
        "build_hash": "unknown",
        "build_date": "2025-07-29T00:00:00.000000000Z",
        "build_snapshot": False,
        "lucene_version": "9.12.2",
        "minimum_wire_compatibility_version": "7.17.0",
        "minimum_index_compatibility_version": "7.0.0",
    },
    "tagline": "You Know, for Search",
}
_HEALTH = {
    "cluster_name": _NAME,
    "status": "green",
    "timed_out": False,
    "number_of_nodes": 1,
    "number_of_data_nodes": 1,
    "active_primary_shards": 1,
    "active_shards": 1,
    "relocating_shards": 0,
    "initializing_shards": 0,
    "unassigned_shards": 0,
    "delayed_unassigned_shards": 0,
    "number_of_pending_tasks": 0,
    "number_of_in_flight_fetch": 0,
    "task_max_waiting_in_queue_millis": 0,
    "active_shards_percent_as_number": 100.0,
}
_LICENSE = {"uid": "00000000-0000-0000-0000-000000000000", "type": "oss", "mode": "oss", "status": "active"}
_OFF = {"available": False, "enabled": False}
_XPACK = {
    "build": {"hash": "unknown", "date": "2025-07-29T00:00:00.000Z"},
    "license": _LICENSE,
    "features": {"ilm": _OFF, "security": _OFF, "data_streams": {"available": True, "enabled": True}},
    "tagline": "You know, for X",
}
_SHARDS = {"_shards": {"total": 1, "successful": 1, "failed": 0}}

_READ = ["GET", "HEAD"]
_WRITE = ["PUT", "POST", "DELETE"]

_FIXED: dict[str, Any] = {
    "/_cluster/health": _HEALTH,
    "/_cluster/health/{index}": _HEALTH,
    "/_license": {"license": _LICENSE},
    "/_xpack": _XPACK,
    "/_data_stream": {"data_streams": []},
    "/_data_stream/{name}": {"data_streams": []},
    "/_index_template/{name}": {"index_templates": []},
    "/_component_template/{name}": {"component_templates": []},
    "/_template/{name}": {},
    "/_ilm/policy/{name}": {},
    "/_ingest/pipeline/{name}": {},
    "/_logstash/pipeline/{name}": {},
    "/_alias/{name}": {},
}
"""What is read, and what it is answered."""

_KEPT = (
    "/_data_stream/{name}",
    "/_index_template/{name}",
    "/_component_template/{name}",
    "/_template/{name}",
    "/_ilm/policy/{name}",
    "/_ingest/pipeline/{name}",
    "/_logstash/pipeline/{name}",
)
"""What is written, and answered that it was."""

_REFRESHED = ("/_refresh", "/{index}/_refresh", "/_flush", "/{index}/_flush")


class _NotForBrowsers(APIRoute):
    """The address of the dashboard's page: a browser is the only one that asks for HTML, and is left to it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        for name, value in scope.get("headers", ()):
            if name == b"accept" and b"text/html" in value:
                return Match.NONE, {}
        return super().matches(scope)


def probe_router() -> APIRouter:
    """None of it is in the API's description: it is there for programs that know it already."""
    router = APIRouter(include_in_schema=False)
    for path, body in _FIXED.items():
        router.add_api_route(path, _answers(body), methods=_READ)
    for path in _KEPT:
        router.add_api_route(path, _answers({"acknowledged": True}), methods=_WRITE)
    for path in _REFRESHED:
        router.add_api_route(path, _answers(_SHARDS), methods=["GET", "POST"])
    for path in ("/_cat/health", "/_cat/health/"):
        router.add_api_route(path, _cat_health, methods=_READ)
    for path in ("/_nodes/http", "/_nodes/_all/http", "/_nodes"):
        router.add_api_route(path, _nodes, methods=_READ)
    router.routes.append(_NotForBrowsers("/", _answers(_INFO), methods=_READ, include_in_schema=False))
    return router


def _answers(body: Any) -> Callable[[], Awaitable[Response]]:
    answer = orjson.dumps(body)

    async def fixed() -> Response:
        return json_answer(answer)

    return fixed


async def _cat_health() -> Response:
    now = time.gmtime()
    line = f"{int(time.time())} {time.strftime('%H:%M:%S', now)} {_NAME} green 1 1 1 1 0 0 0 0 - 100.0%\n"
    return Response(line, media_type="text/plain", headers=PRODUCT)


async def _nodes(request: Request) -> Response:
    """One node, at the address that the client has used: for clients that look for all of a cluster."""
    address = request.url.netloc
    node = {
        "name": _NAME,
        "version": VERSION,
        "roles": ["data", "ingest", "master"],
        "http": {"bound_address": [address], "publish_address": address},
    }
    nodes = {"_nodes": {"total": 1, "successful": 1, "failed": 0}, "cluster_name": _NAME, "nodes": {_NAME: node}}
    return json_answer(orjson.dumps(nodes))
