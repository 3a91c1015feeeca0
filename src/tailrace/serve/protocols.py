"""The routes of every protocol that brings events over HTTP."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from tailrace.ingest.bulk.ids import Newest
from tailrace.ingest.gateway import Gateway
from tailrace.ops.metrics import Metrics
from tailrace.serve.datadog_routes import datadog_router
from tailrace.serve.elasticsearch.bulk_routes import bulk_router
from tailrace.serve.elasticsearch.probe_routes import probe_router
from tailrace.serve.gelf_route import gelf_router
from tailrace.serve.ingest_routes import ingest_router
from tailrace.serve.journald_routes import journald_router
from tailrace.serve.loki_push_routes import loki_push_router
from tailrace.serve.otlp_routes import otlp_router
from tailrace.serve.splunk_routes import splunk_router


def protocol_routers(
    gateway: Gateway, metrics: Metrics, newest_documents: Newest | None = None
) -> Sequence[APIRouter]:
    """`newest_documents` gives the documents of Elasticsearch's clients that were stored before this process."""
    return [
        ingest_router(gateway, metrics),
        loki_push_router(gateway, metrics),
        otlp_router(gateway, metrics),
        bulk_router(gateway, metrics, newest_documents),
        probe_router(),
        splunk_router(gateway, metrics),
        datadog_router(gateway, metrics),
        journald_router(gateway, metrics),
        gelf_router(gateway, metrics),
    ]
