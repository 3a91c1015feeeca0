"""Events as JSON text, made by DuckDB from whole batches: fifteen times as fast as a Python object an event.

An event is `{"timestamp", "level", "message", "service", "host", "trace_id", "span_id", "attributes", "id",
"observed_timestamp"}`. Times are ISO 8601 in UTC with six decimal places. `id` is the identity,
`PARTITION-OFFSET-ROW`.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from tailrace.errors import QueryError
from tailrace.model.batch import STORED_SCHEMA, empty_batch

EVENT_FIELDS = (
    "timestamp",
    "level",
    "message",
    "service",
    "host",
    "trace_id",
    "span_id",
    "attributes",
    "id",
    "observed_timestamp",
)
"""The members of an event, in the order they are written."""

_EXPRESSIONS = {
    "timestamp": "strftime(timestamp, '%Y-%m-%dT%H:%M:%S.%fZ')",
    "observed_timestamp": "strftime(observed_timestamp, '%Y-%m-%dT%H:%M:%S.%fZ')",
    "id": "concat(log_partition, '-', log_offset, '-', log_row)",
}


_NO_EVENTS = empty_batch(STORED_SCHEMA)


def _expression(field: str) -> str:
    return _EXPRESSIONS.get(field, field)


_JSON = "to_json({" + ", ".join(f"'{name}': {_expression(name)}" for name in EVENT_FIELDS) + "})::VARCHAR"
_COLUMNS = ", ".join(
    f"{'to_json(attributes)::VARCHAR' if name == 'attributes' else _expression(name)} AS {name}"
    for name in EVENT_FIELDS
)


class Renderer:
    """Shared between threads; every call works on a cursor of its own."""

    def __init__(self) -> None:
        # One thread: a batch is small, and the queries have the cores.
        self._connection = duckdb.connect(
            ":memory:", config={"threads": 1, "python_enable_replacements": "false", "temp_directory": ""}
        )
        self._connection.execute("SET TimeZone = 'UTC'")

    def lines(
        self, events: pa.Table | pa.RecordBatch, *, before: str = "", after: str = "\n", where: str = "true"
    ) -> bytes:
        """Each event of STORED_SCHEMA as one JSON object between `before` and `after`, in order.

        `where` is a condition of `tailrace.query.to_sql`: other events are left out.
        """
        sql = f"SELECT $before || {_JSON} || $after AS line FROM events WHERE {where}"
        return text_bytes(self._run(sql, events, {"before": before, "after": after})["line"])

    def array(self, events: pa.Table | pa.RecordBatch) -> bytes:
        """The events as one JSON array."""
        return b"[" + self.lines(events, after=",")[:-1] + b"]"

    def flat(self, events: pa.Table | pa.RecordBatch) -> pa.Table:
        """The events as columns of EVENT_FIELDS, all text: for CSV."""
        return self._run(f"SELECT {_COLUMNS} FROM events", events, {})

    def check(self, where: str) -> None:
        """Raises `QueryError` for a condition that DuckDB cannot run, such as one with a wrong regular expression."""
        try:
            self.lines(_NO_EVENTS, where=where)
        except duckdb.Error as error:
            raise QueryError(str(error).partition("\n")[0]) from error

    def close(self) -> None:
        self._connection.close()

    def _run(self, sql: str, events: pa.Table | pa.RecordBatch, values: dict[str, str]) -> pa.Table:
        table = pa.Table.from_batches([events]) if isinstance(events, pa.RecordBatch) else events
        with self._connection.cursor() as cursor:
            cursor.register("events", table.select(STORED_SCHEMA.names))
            return cursor.sql(sql, params=values).to_arrow_table()


def text_bytes(texts: pa.ChunkedArray) -> bytes:
    """The texts one behind the other; they lie so in Arrow's buffers already."""
    return b"".join(_chunk_bytes(chunk) for chunk in texts.chunks)


def _chunk_bytes(texts: pa.StringArray) -> bytes:
    """The texts of an array one behind the other: they lie so in its buffer already."""
    if not len(texts):
        return b""
    offsets = texts.buffers()[1]
    data = texts.buffers()[2]
    width = 8 if pa.types.is_large_string(texts.type) else 4
    first = int.from_bytes(offsets[texts.offset * width : (texts.offset + 1) * width], "little")
    end = texts.offset + len(texts)
    last = int.from_bytes(offsets[end * width : (end + 1) * width], "little")
    return data[first:last].to_pybytes() if data is not None else b""
