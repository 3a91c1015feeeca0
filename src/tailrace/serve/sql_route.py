"""`POST /api/sql`: one read-only SELECT over the table `logs`."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager

import orjson
import pyarrow as pa
from fastapi import APIRouter, Request, Response

from tailrace.errors import BadInput, SlowDown
from tailrace.model.batch import ARROW_STREAM
from tailrace.serve.json_body import read_json
from tailrace.serve.places import Places
from tailrace.serve.query_threads import unless_gone
from tailrace.serve.schemas import SqlRequest, SqlRows
from tailrace.serve.serving import Serving
from tailrace.serve.sql_rendering import RowRenderer
from tailrace.serve.streaming import Streamed, begun
from tailrace.store.sandbox.run import SqlRun

ROWS_MAX = 10_000
"""Rows of a JSON answer; the other formats have no cap."""

_JSON_BYTES_MAX = 64 << 20
_REQUEST_BYTES_MAX = 1 << 20
_MEDIA_TYPES = {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8", "arrow": ARROW_STREAM}


class Statement:
    """A statement that may be cancelled at any time, also before its process runs."""

    def __init__(self, places: Places, query: str) -> None:
        self._places = places
        self._query = query
        self._lock = threading.Lock()
        self._run: SqlRun | None = None
        self._cancelled = False

    @contextmanager
    def running(self) -> Iterator[SqlRun]:
        with ExitStack() as held:
            tables = held.enter_context(self._places.tables.tables())
            with self._lock:
                if self._cancelled:
                    raise BadInput("the statement was cancelled")
                run = held.enter_context(SqlRun(tables, self._places.settings.query))
                self._run = run
            run.start(self._query)
            yield run

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            if self._run is not None:
                self._run.cancel()


def sql_router(serving: Serving) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["search"])
    sql_max = serving.places.settings.query.sql_max
    at_work = [0]

    @contextmanager
    def admitted() -> Iterator[None]:
        if at_work[0] >= sql_max:
            serving.places.metrics.queries_refused.labels("sql").inc()
            raise SlowDown(f"{at_work[0]} SQL statements are at work (query.sql_max); ask again in a moment")
        at_work[0] += 1
        try:
            with serving.threads.admitted("sql"):
                yield
        finally:
            at_work[0] -= 1

    async def stream(statement: Statement, format: str) -> AsyncGenerator[bytes, None]:
        pulled = serving.threads.pull(_CHUNKS[format](statement))
        with admitted():
            try:
                async for chunk in pulled:
                    yield chunk
            finally:
                statement.cancel()
                await pulled.aclose()

    @router.post(
        "/sql",
        summary="Run SQL",
        response_model=SqlRows,
        responses={200: {"content": {kind: {"schema": {"type": "string"}} for kind in _MEDIA_TYPES.values()}}},
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": SqlRequest.model_json_schema()}},
            }
        },
    )
    async def sql(request: Request) -> Response:
        """One SELECT in DuckDB's SQL over the table `logs`: every event, those of the last second included.

        It runs in a process of its own with `query.memory_bytes_max` of memory, for at most `query.time_max_s`, and
        ends when the client leaves. It sees no files, no network, no settings and no other table.
        """
        asked = await read_json(
            request, SqlRequest, bytes_max=_REQUEST_BYTES_MAX, example='{"query": "SELECT …", "format": "json"}'
        )
        statement = Statement(serving.places, asked.query)
        if asked.format != "json":
            chunks = await unless_gone(request.receive, begun(stream(statement, asked.format)))
            return Streamed(chunks, media_type=_MEDIA_TYPES[asked.format])
        with admitted():
            try:
                body = await unless_gone(request.receive, serving.threads.run(lambda: _json_body(statement)))
            finally:
                statement.cancel()
        return Response(body, media_type="application/json")

    return router


def _json_body(statement: Statement) -> bytes:
    """Up to ROWS_MAX rows; `truncated` when there were more, or when they took too much room."""
    started_s = time.perf_counter()
    with statement.running() as run, closing(RowRenderer(run.schema)) as renderer:
        columns = [{"name": field.name, "type": str(field.type)} for field in run.schema]
        parts: list[bytes] = []
        rows = size_bytes = 0
        truncated = False
        for batch in run:
            truncated = rows + batch.num_rows > ROWS_MAX
            taken = batch.slice(0, ROWS_MAX - rows)
            part = renderer.json_arrays(taken) if taken.num_rows else b""
            if size_bytes + len(part) > _JSON_BYTES_MAX:
                truncated = True
                break
            parts.append(part)
            rows, size_bytes = rows + taken.num_rows, size_bytes + len(part)
            if truncated:
                break
        bytes_read = run.bytes_read()
    head = b'{"columns":' + orjson.dumps(columns) + b',"rows":[' + b"".join(parts)[:-1]
    tail = {
        "count": rows,
        "truncated": truncated,
        "elapsed_s": round(time.perf_counter() - started_s, 6),
        "bytes_read": bytes_read,
    }
    return head + b"]," + orjson.dumps(tail)[1:]


def _json_lines(statement: Statement) -> Generator[bytes, None, None]:
    with statement.running() as run, closing(RowRenderer(run.schema)) as renderer:
        yield from (renderer.json_objects(batch) for batch in run)


def _csv(statement: Statement) -> Generator[bytes, None, None]:
    with statement.running() as run, closing(RowRenderer(run.schema)) as renderer:
        yield renderer.csv_header()
        yield from (renderer.csv_lines(batch) for batch in run)


def _arrow(statement: Statement) -> Generator[bytes, None, None]:
    with statement.running() as run:
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, run.schema) as writer:
            for batch in run:
                writer.write_batch(batch)
                yield _take(sink)
        yield _take(sink)


def _take(sink: io.BytesIO) -> bytes:
    taken = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return taken


_CHUNKS: dict[str, Callable[[Statement], Generator[bytes, None, None]]] = {
    "ndjson": _json_lines,
    "csv": _csv,
    "arrow": _arrow,
}
