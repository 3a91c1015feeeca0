"""Rows of any SQL type as text. DuckDB writes them, since it has a text for every type it has; points in time are
brought to ISO 8601, as in all other answers."""

from __future__ import annotations

import io

import duckdb
import pyarrow as pa
import pyarrow.csv

from tailrace.serve.rendering import text_bytes


class RowRenderer:
    """For results of one schema, whose column names need not differ. Not shared between threads at the same time."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._places = [f"c{index}" for index in range(len(schema))]
        values = [_json_value(place, field.type) for place, field in zip(self._places, schema, strict=True)]
        texts = [_text(place, field.type) for place, field in zip(self._places, schema, strict=True)]
        self._array = f"json_array({', '.join(values)})"
        members = [f"{_literal(name)}, {value}" for name, value in zip(schema.names, values, strict=True)]
        self._object = f"json_object({', '.join(members)})"
        self._texts = ", ".join(f"{text} AS {place}" for text, place in zip(texts, self._places, strict=True))
        self._connection = duckdb.connect(
            ":memory:", config={"threads": 1, "python_enable_replacements": "false", "temp_directory": ""}
        )
        self._connection.execute("SET TimeZone = 'UTC'")

    def json_arrays(self, batch: pa.RecordBatch) -> bytes:
        """Each row as a JSON array, with a comma behind it."""
        return self._lines(f"{self._array} || ','", batch)

    def json_objects(self, batch: pa.RecordBatch) -> bytes:
        """Each row as a JSON object on a line of its own."""
        return self._lines(f"{self._object} || chr(10)", batch)

    def csv_header(self) -> bytes:
        names = pa.table({str(index): [name] for index, name in enumerate(self._schema.names)})
        return _csv(names)

    def csv_lines(self, batch: pa.RecordBatch) -> bytes:
        return _csv(self._run(f"SELECT {self._texts} FROM batch", batch))

    def close(self) -> None:
        self._connection.close()

    def _lines(self, expression: str, batch: pa.RecordBatch) -> bytes:
        return text_bytes(self._run(f"SELECT {expression} AS line FROM batch", batch)["line"])

    def _run(self, sql: str, batch: pa.RecordBatch) -> pa.Table:
        self._connection.register("batch", pa.Table.from_batches([batch]).rename_columns(self._places))
        return self._connection.sql(sql).to_arrow_table()


def _json_value(place: str, kind: pa.DataType) -> str:
    if pa.types.is_floating(kind):
        # JSON has no number for NaN and the infinities.
        return f"CASE WHEN isfinite({place}) THEN to_json({place}) ELSE to_json({place}::VARCHAR) END"
    return _iso(place, kind) if pa.types.is_timestamp(kind) else place


def _text(place: str, kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return _iso(place, kind)
    return f"to_json({place})::VARCHAR" if pa.types.is_nested(kind) else f"{place}::VARCHAR"


def _iso(place: str, kind: pa.DataType) -> str:
    """A timestamp without a zone gets none."""
    return f"strftime({place}, '%Y-%m-%dT%H:%M:%S.%f{'Z' if kind.tz else ''}')"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _csv(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pa.csv.write_csv(table, sink, pa.csv.WriteOptions(include_header=False))
    return sink.getvalue()
