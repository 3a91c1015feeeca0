"""DuckDB as everybody here uses it: one instance, capped in time and memory, and the SQL that answers a `Selection`.

The builders are pure: they take a *source*, SQL text that stands after FROM and yields the columns of STORED_SCHEMA,
and give a statement. `Duck.table` runs one.
"""

from __future__ import annotations

import contextlib
import datetime
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tailrace.config import QuerySettings
from tailrace.errors import QueryError, RetryLater
from tailrace.model.batch import IDENTITY, STORED_SCHEMA
from tailrace.query.leaves import attribute_name
from tailrace.query.text_match import text_literal
from tailrace.query.to_sql import to_sql
from tailrace.query.tree import TIME_FIELDS
from tailrace.store.port import Bucket, Cursor, FieldFigure, Order, Selection, ValueFigure

STREAM_BATCH_ROWS = 16_384
"""Rows of a streamed batch: some megabytes, enough that the work for each batch does not show."""

_COLUMNS = ", ".join(STORED_SCHEMA.names)
_ORDER_KEYS = ("timestamp", *IDENTITY)
_COUNTED_COLUMNS = tuple(name for name in STORED_SCHEMA.names if name not in (*IDENTITY, "attributes"))

# What DuckDB's TIMESTAMPTZ literals, and Python's datetime, can say.
_FIRST_US = int(datetime.datetime(1, 1, 1, tzinfo=datetime.UTC).timestamp()) * 1_000_000
_LAST_US = int(datetime.datetime(9999, 12, 31, tzinfo=datetime.UTC).timestamp()) * 1_000_000

# Not among them is what DuckDB says of damaged files: whoever reads files looks into that.
_REFUSALS = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.ParserException,
    duckdb.SyntaxException,
)

_Connection = duckdb.DuckDBPyConnection


class Duck:
    """One DuckDB instance; shared between threads, each query has a connection of its own.

    `temp_directory` takes what does not fit into `memory_bytes_max` while sorting; without one such a query fails.
    """

    def __init__(self, settings: QuerySettings, *, temp_directory: Path | None = None) -> None:
        self._time_max_s = settings.time_max_s
        self._connection = duckdb.connect(
            config={
                "threads": settings.threads,
                "memory_limit": f"{settings.memory_bytes_max}B",
                "temp_directory": str(temp_directory or ""),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        self._connection.execute("SET GLOBAL TimeZone = 'UTC'")
        # A file never changes once it is written, so its footer is read once.
        self._connection.execute("SET GLOBAL parquet_metadata_cache = true")

    def table(self, sql: str, tables: Mapping[str, pa.Table] | None = None) -> pa.Table:
        """The whole result of one statement; `tables` are the Arrow tables it names.

        Raises `QueryError` for what DuckDB refuses, `RetryLater` when the time cap is reached, and `duckdb.Error`
        for whatever else goes wrong, such as files that cannot be read.
        """
        with self._capped(tables or {}) as connection:
            return connection.sql(sql).to_arrow_table()

    def batches(self, sql: str, tables: Mapping[str, pa.Table] | None = None) -> Iterator[pa.RecordBatch]:
        """The same, a batch at a time; each step has the time cap anew, as the reader's own pace does not count."""
        with self._connected(tables or {}) as connection:
            with self._cap(connection):
                reader = connection.sql(sql).to_arrow_reader(STREAM_BATCH_ROWS)
            while True:
                with self._cap(connection):
                    batch = next(reader, None)
                if batch is None:
                    return
                yield batch

    def close(self) -> None:
        self._connection.close()

    @contextlib.contextmanager
    def _capped(self, tables: Mapping[str, pa.Table]) -> Iterator[_Connection]:
        with self._connected(tables) as connection, self._cap(connection):
            yield connection

    @contextlib.contextmanager
    def _connected(self, tables: Mapping[str, pa.Table]) -> Iterator[_Connection]:
        connection = self._connection.cursor()
        try:
            for name, table in tables.items():
                connection.register(name, table)
            yield connection
        finally:
            connection.close()

    @contextlib.contextmanager
    def _cap(self, connection: _Connection) -> Iterator[None]:
        """Interrupt the connection's statement when its time is over, and bring DuckDB's errors to ours."""
        timer = threading.Timer(self._time_max_s, connection.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (duckdb.Error, OSError, pa.ArrowException) as error:
            raise self._translated(error) from error
        finally:
            timer.cancel()

    def _translated(self, error: Exception) -> Exception:
        """What fails while batches are read comes through Arrow, with nothing but DuckDB's message."""
        message = str(error)
        if isinstance(error, duckdb.InterruptException) or "INTERRUPT Error" in message:
            return RetryLater(
                f"the query took more than {self._time_max_s:g} s (query.time_max_s); ask for a shorter time range"
            )
        if isinstance(error, duckdb.OutOfMemoryException) or "Out of Memory Error" in message:
            return QueryError("the query needs more memory than query.memory_bytes_max; ask for a shorter time range")
        if isinstance(error, _REFUSALS):
            return QueryError(f"DuckDB refuses the query: {error}")
        return error if isinstance(error, duckdb.Error) else duckdb.IOException(message)


def timestamp_literal(time_us: int) -> str:
    """A TIMESTAMPTZ constant, which DuckDB compares with the statistics of files; clamped to the years 1 to 9999."""
    clamped = min(max(time_us, _FIRST_US), _LAST_US)
    return f"make_timestamptz({clamped}::BIGINT)"


def time_condition(start_us: int | None, end_us: int | None) -> str:
    """`start_us <= timestamp < end_us`; `true` without bounds."""
    bounds = []
    if start_us is not None:
        bounds.append(f"timestamp >= {timestamp_literal(start_us)}")
    if end_us is not None:
        bounds.append(f"timestamp < {timestamp_literal(end_us)}")
    return " AND ".join(bounds) or "true"


def condition(selection: Selection, *, now_us: int) -> str:
    """The WHERE of a selection. Raises `QueryError`."""
    return f"{time_condition(selection.start_us, selection.end_us)} AND ({to_sql(selection.where, now_us=now_us)})"


def behind(after: Cursor, order: Order) -> str:
    """The condition that a row comes behind `after` in the order."""
    sign = ">" if order == "asc" else "<"
    time = timestamp_literal(after.timestamp_us)
    identity = f"({', '.join(IDENTITY)}) {sign} ({after.partition}, {after.offset}, {after.row})"
    # The first part alone is what file statistics can answer.
    return f"timestamp {sign}= {time} AND (timestamp {sign} {time} OR {identity})"


def rows_sql(source: str, where: str, *, order: Order, limit: int | None = None) -> str:
    """Rows of STORED_SCHEMA in order."""
    keys = ", ".join(f"{key} {order}" for key in _ORDER_KEYS)
    tail = "" if limit is None else f" LIMIT {limit}"
    return f"SELECT {_COLUMNS} FROM {source} WHERE {where} ORDER BY {keys}{tail}"


def count_sql(source: str, where: str) -> str:
    return f"SELECT count(*) AS count FROM {source} WHERE {where}"


def field_value(field: str) -> str:
    """The SQL of a field's value, null where it is absent. Raises `QueryError` for a time."""
    if field in TIME_FIELDS:
        raise QueryError(f"{field} is a time: it has a histogram, but no list of values")
    name = attribute_name(field)
    return field if name is None else f"attributes[{text_literal(name)}]"


def bucket_start(time_us: str, interval_us: int) -> str:
    """The start of the bucket that a time, an SQL expression, lies in."""
    # DuckDB's % has the sign of the dividend; buckets before 1970 must start below their events too.
    return f"{time_us} - (({time_us} % {interval_us}) + {interval_us}) % {interval_us}"


def histogram_sql(source: str, where: str, *, interval_us: int, by: str | None) -> str:
    """Columns `start_us`, `value`, `count`."""
    if interval_us <= 0:
        raise QueryError("the interval of a histogram must be longer than nothing")
    start = bucket_start("epoch_us(timestamp)", interval_us)
    value = "NULL::VARCHAR" if by is None else field_value(by)
    return (
        f"SELECT {start} AS start_us, {value} AS value, count(*) AS count FROM {source} WHERE {where} "
        "GROUP BY ALL ORDER BY start_us, value NULLS FIRST"
    )


def values_sql(source: str, where: str, *, field: str, limit: int | None = None) -> str:
    """Columns `value`, `count`, most frequent first."""
    tail = "" if limit is None else f" LIMIT {limit}"
    return (
        f"SELECT {field_value(field)} AS value, count(*) AS count FROM {source} WHERE ({where}) "
        f"AND {field_value(field)} IS NOT NULL GROUP BY ALL ORDER BY count DESC, value{tail}"
    )


def fields_sql(source: str, where: str) -> str:
    """Columns `name`, `count`: the columns that are not null somewhere, and the attributes."""
    counts = ", ".join(f"count({name}) AS {name}" for name in _COUNTED_COLUMNS)
    names = ", ".join(_COUNTED_COLUMNS)
    return (
        f"WITH selected AS NOT MATERIALIZED (SELECT * FROM {source} WHERE {where}), "
        f"columns AS (SELECT {counts} FROM selected), "
        "entries AS (SELECT unnest(map_keys(attributes)) AS name, unnest(map_values(attributes)) AS value "
        "FROM selected) "
        f"SELECT name, count FROM (UNPIVOT columns ON {names} INTO NAME name VALUE count) WHERE count > 0 "
        "UNION ALL SELECT name, count(value) AS count FROM entries WHERE value IS NOT NULL GROUP BY name "
        "ORDER BY count DESC, name"
    )


def stored(rows: pa.Table) -> pa.Table:
    """Rows as DuckDB gives them, brought to the very types of STORED_SCHEMA."""
    return rows.cast(STORED_SCHEMA)


def stored_batch(rows: pa.RecordBatch) -> pa.RecordBatch:
    return rows.cast(STORED_SCHEMA)


def cursor_of(rows: pa.Table | pa.RecordBatch) -> Cursor:
    """The place of the last row."""
    last = rows.slice(rows.num_rows - 1)
    return Cursor(last["timestamp"].cast(pa.int64())[0].as_py(), *(last[key][0].as_py() for key in IDENTITY))


def count_of(found: pa.Table) -> int:
    return int(found["count"][0].as_py())


def buckets(found: pa.Table) -> list[Bucket]:
    return [Bucket(*row) for row in _rows(found, ("start_us", "value", "count"))]


def value_figures(found: pa.Table) -> list[ValueFigure]:
    return [ValueFigure(*row) for row in _rows(found, ("value", "count"))]


def field_figures(found: pa.Table) -> list[FieldFigure]:
    return [FieldFigure(*row) for row in _rows(found, ("name", "count"))]


def _rows(found: pa.Table, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return zip(*(found[name].to_pylist() for name in names), strict=True)
