"""What SQL may do, fence by fence: the check of the statement, DuckDB's own configuration, the process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest

from tailrace.config import QuerySettings
from tailrace.errors import QueryError
from tailrace.model.batch import STORED_SCHEMA, batch_of_rows, with_identity
from tailrace.store.sandbox.check import check_sql
from tailrace.store.sandbox.process import Task, connect
from tailrace.store.sandbox.run import SqlRun, Tables

MIB = 1 << 20


def _rows(count: int, offset: int) -> pa.Table:
    rows = [
        {
            "timestamp": row,
            "observed_timestamp": row,
            "message": f"m{row}",
            "service": "auth",
            "attributes": {"n": "1"},
        }
        for row in range(count)
    ]
    return pa.Table.from_batches([with_identity(batch_of_rows(rows), 0, offset)], STORED_SCHEMA)


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    path = tmp_path / "it's older.parquet"
    pa.parquet.write_table(_rows(100, 0), path)
    return Tables([str(path)], _rows(10, 1))


def _run(tables: Tables, query: str, **settings: Any) -> list[dict[str, Any]]:
    with SqlRun(tables, QuerySettings(**settings)) as run:
        run.start(query)
        rows: list[dict[str, Any]] = pa.Table.from_batches(list(run), run.schema).to_pylist()
    return rows


ALLOWED = [
    "SELECT count(*) FROM logs",
    "FROM logs SELECT level, count(*) GROUP BY ALL ORDER BY ALL LIMIT 3 -- a comment; with a semicolon",
    "SELECT 1;",
    "WITH slow AS (SELECT * FROM logs), Other AS (FROM slow) SELECT * FROM other",
    "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 5) SELECT max(i) FROM r",
    "SELECT * FROM LOGS a JOIN \"logs\" b USING (log_row) WHERE a.attributes['n'] = '1'",
    "SELECT message FROM logs WHERE message IN (SELECT 'm' || range FROM range(5))",
    "DESCRIBE logs",
    "SUMMARIZE SELECT level FROM logs",
    "PIVOT logs ON level IN ('ERROR') USING count(*)",
    "VALUES (1), (2)",
    "SELECT a.x, unnest([1, 2]) FROM (VALUES (1)) a(x)",
    "SELECT service, count(*) OVER (PARTITION BY service) FROM logs QUALIFY row_number() OVER () = 1",
    "(SELECT 1) UNION ALL (SELECT 2) EXCEPT SELECT 3",
]


@pytest.mark.parametrize("query", ALLOWED)
def test_plain_selects_pass_the_check_and_run(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """What reads `logs` or makes its own rows is allowed."""
    check_sql(query, connection)
    connection.sql(query).to_arrow_table()


FILES = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_json('/etc/passwd')",
    "SELECT * FROM read_parquet('/tmp/*.parquet')",
    "SELECT * FROM parquet_metadata('/tmp/x.parquet')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM 'data.csv'",
    'SELECT * FROM "/etc/passwd"',
    "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
    "SELECT * FROM 's3://bucket/x.parquet'",
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "WITH x AS MATERIALIZED (FROM read_text('/etc/passwd')) SELECT * FROM x",
    "SELECT * FROM logs, LATERAL (FROM read_text('/etc/passwd'))",
    "SELECT * FROM system.main.read_text('/etc/passwd')",
    "SELECT * FROM read_duckdb('/tmp/x.db')",
    "COPY logs TO '/tmp/out.csv'",
    "COPY (SELECT 1) TO '/tmp/out.csv'",
    "/* SELECT */ COPY (SELECT 1) TO '/tmp/out.csv'",
    "EXPORT DATABASE '/tmp/out'",
    "IMPORT DATABASE '/tmp/out'",
    "ATTACH '/tmp/x.db'",
    "ATTACH ':memory:' AS other; SELECT 1",
    "INSTALL httpfs",
    "LOAD httpfs",
]
OTHERS = [
    "",
    ";",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY logs TO '/tmp/out.csv'",
    "SET threads = 4",
    "SET lock_configuration = false",
    "RESET memory_limit",
    "PRAGMA version",
    "PRAGMA enable_profiling",
    "CALL pragma_version()",
    "CHECKPOINT",
    "SELECT current_setting('secret_directory')",
    "SELECT getenv('HOME')",
    "SELECT GetVariable('x')",
    "SELECT write_log('x')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_logs()",
    "SELECT * FROM enable_logging('QueryLog')",
    "SELECT * FROM checkpoint()",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('hot_rows')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT * FROM which_secret('s3://x', 's3')",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM python_map_function(1)",
    "SELECT * FROM pandas_scan(1)",
    "SELECT * FROM test_all_types()",
    "SELECT * FROM hot_rows",
    "SELECT * FROM main.logs_of_another",
    "SELECT * FROM memory.main.hot_rows",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_settings",
    "SELECT * FROM duckdb_views",
    "SELECT * FROM sqlite_master",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "SHOW DATABASES",
    "CREATE TABLE x (a INT)",
    "CREATE MACRO f() AS TABLE SELECT 1",
    "CREATE SECRET (TYPE s3)",
    "DROP VIEW logs",
    "INSERT INTO logs SELECT * FROM logs",
    "DELETE FROM logs",
    "UPDATE logs SET message = ''",
    "WITH x AS (DELETE FROM hot_rows RETURNING 1) FROM x",
    "WITH x AS (INSERT INTO logs SELECT * FROM logs RETURNING 1) FROM x",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "EXPLAIN ANALYZE SELECT 1",
    "BEGIN TRANSACTION",
    "VACUUM",
    "USE memory",
    "COMMENT ON VIEW logs IS 'x'",
    "PIVOT logs ON level",
    "DETACH memory",
    "SELEC 1",
]


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    path = tmp_path_factory.mktemp("sandbox") / "older.parquet"
    pa.parquet.write_table(_rows(100, 0), path)
    task = Task("", [str(path)], STORED_SCHEMA.names, 256 * MIB, 0, 1, 10)
    opened = connect(task, _rows(10, 1))
    yield opened
    opened.close()


@pytest.mark.parametrize("query", FILES + OTHERS)
def test_everything_else_is_refused_before_it_runs(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """The check of the statement refuses files, network, settings, other tables and every kind of change."""
    with pytest.raises(QueryError):
        check_sql(query, connection)


@pytest.mark.parametrize("query", [query for query in FILES if ":memory:" not in query])
def test_duckdb_itself_refuses_files_and_network(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Without the check of the statement, DuckDB's configuration still lets nothing in or out."""
    with pytest.raises(duckdb.Error):
        connection.sql(query).to_arrow_table()


def test_duckdb_itself_does_not_look_at_pythons_variables(connection: duckdb.DuckDBPyConnection) -> None:
    """A table is not found under the name of a variable of this process."""
    local_variable = _rows(1, 2)
    assert local_variable.num_rows == 1
    with pytest.raises(duckdb.Error, match="does not exist"):
        connection.sql("SELECT * FROM local_variable")


@pytest.mark.parametrize(
    "setting", ["lock_configuration = false", "enable_external_access = true", "allowed_paths = ['/etc/passwd']"]
)
def test_duckdb_itself_keeps_its_settings_locked(connection: duckdb.DuckDBPyConnection, setting: str) -> None:
    """Without the check of the statement, the fence's own settings cannot be taken down."""
    with pytest.raises(duckdb.Error):
        connection.execute(f"SET {setting}")


def test_a_query_sees_files_and_hot_rows_as_one_table(tables: Tables) -> None:
    """`logs` holds the rows of the files and the hot ones; times are in UTC."""
    counted = _run(
        tables, "SELECT log_offset, count(*) AS n, min(timestamp) AS t FROM logs GROUP BY ALL ORDER BY ALL"
    )
    assert [(row["log_offset"], row["n"]) for row in counted] == [(0, 100), (1, 10)]
    assert counted[0]["t"].isoformat() == "1970-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("query", "column", "said"),
    [
        ("SELEC 1", 1, "syntax error"),
        ("SELECT 'é', getvariable('x')", 13, "getvariable"),
        ("SELECT * FROM secrets", 15, "the table is logs"),
        ("SELECT nothing FROM logs", None, "nothing"),
        ("SELECT 1 // 'x'", None, ""),
        ("DELETE FROM logs", None, "only SELECT"),
    ],
)
def test_an_error_says_what_and_where(tables: Tables, query: str, column: int | None, said: str) -> None:
    """Errors carry the column, counted in characters, where it is known."""
    with pytest.raises(QueryError) as caught:
        _run(tables, query)
    assert caught.value.column == column
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT len(range(500000000))",
        "SELECT length(repeat('x', 2000000000))",
        "SELECT count(DISTINCT a) FROM range(1000000000) t(a)",
    ],
)
def test_memory_is_capped_whatever_takes_it(tables: Tables, query: str) -> None:
    """A value larger than the memory allowed ends the query, not the server."""
    with pytest.raises(QueryError, match="memory_bytes_max"):
        _run(tables, query, memory_bytes_max=64 * MIB)


def test_time_is_capped(tables: Tables) -> None:
    """A query without an end is ended at its time."""
    with pytest.raises(QueryError, match="time_max_s"):
        _run(tables, "SELECT sum(a.range + b.range) FROM range(1000000) a, range(1000000) b", time_max_s=0.5)


def test_a_result_that_fails_in_its_middle_is_not_whole(tables: Tables) -> None:
    """Rows that came before a failure are followed by the failure."""
    query = "SELECT CASE WHEN range = 900000 THEN CAST('x' AS INT) ELSE range END AS n FROM range(1000000)"
    with SqlRun(tables, QuerySettings(threads=1)) as run:
        run.start(query)
        batches = iter(run)
        assert next(batches).num_rows > 0
        with pytest.raises(QueryError, match="'x'"):
            list(batches)


def test_a_cancelled_query_ends(tables: Tables) -> None:
    """After `cancel` its process is gone and its reader gets an error."""
    with SqlRun(tables, QuerySettings()) as run:
        run.start("SELECT range FROM range(100000000)")
        batches = iter(run)
        next(batches)
        run.cancel()
        with pytest.raises(QueryError):
            list(batches)
    with pytest.raises(ProcessLookupError):
        os.kill(run.pid, 0)


def test_the_process_has_no_environment(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets in the server's environment are not in the query's process."""
    monkeypatch.setenv("TAILRACE_SECRET", "hunter2")
    with SqlRun(tables, QuerySettings()) as run:
        run.start("SELECT range FROM range(100000000)")
        assert b"hunter2" not in Path(f"/proc/{run.pid}/environ").read_bytes()
