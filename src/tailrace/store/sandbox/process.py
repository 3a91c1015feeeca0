"""The process in which one SQL statement runs: `python -I -m tailrace.store.sandbox.process`.

DuckDB's memory limit covers its tables and hash tables, not the values of one vector: `SELECT len(range(500000000))`
takes 16 GB under a limit of 256 MB and cannot be interrupted. A process of its own can be held to its memory by the
kernel, and killed at any instant without hurting the server.

Standard input: one line of JSON (`Task`'s fields), then the hot rows as an Arrow IPC stream, read to its end before
anything is written. Standard output: the result as an Arrow IPC stream; its schema's metadata say how much this
process had read before it opened any file for the statement. Exit status 0 says that it is whole; otherwise standard
error holds one line of JSON: `{"message": …, "column": … or null}`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from tailrace.errors import QueryError
from tailrace.store.sandbox.check import VIEW, check_sql, first_line

BYTES_READ_BEFORE = b"tailrace.bytes_read_before"
"""Metadata of the result's schema, a number; not there where the system does not tell."""

BATCH_ROWS = 8192
"""Rows of one batch of the result: small, so that the first is out soon and a wide one is not large."""

_BASE_BYTES = 640 << 20  # what Python, Arrow and DuckDB map before they do anything, with their threads' arenas
_OPEN_FILES_MAX = 1024
_TOO_MUCH_MEMORY = "the query needs more memory than query.memory_bytes_max allows"


@dataclass(frozen=True, slots=True)
class Task:
    query: str
    parquet_paths: list[str]
    columns: list[str]
    memory_bytes_max: int
    hot_bytes: int
    threads: int
    cpu_s_max: int


def main() -> int:
    task = Task(**json.loads(sys.stdin.buffer.readline()))
    _limit_process(task)
    try:
        with pa.ipc.open_stream(sys.stdin.buffer) as stream:
            hot = stream.read_all()
        run(task, hot, sys.stdout.buffer.fileno())
    except QueryError as error:
        return _fail(str(error).partition(": ")[2] if error.column else str(error), error.column)
    except MemoryError:  # ArrowMemoryError is one, too
        return _fail(_TOO_MUCH_MEMORY, None)
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        # What fails while rows are read comes through Arrow, as an OSError with DuckDB's message.
        message = first_line(error)
        return _fail(_TOO_MUCH_MEMORY if "Out of Memory" in message else message, None)
    return 0


def run(task: Task, hot: pa.Table, output: int) -> None:
    """Check the query, run it, and write its result to the file descriptor `output`."""
    read_before = bytes_read("self")
    connection = connect(task, hot)
    check_sql(task.query, connection)
    reader = connection.sql(task.query).to_arrow_reader(BATCH_ROWS)
    told = {} if read_before is None else {BYTES_READ_BEFORE: str(read_before)}
    schema = reader.schema.with_metadata({**(reader.schema.metadata or {}), **told})
    with os.fdopen(output, "wb", closefd=False) as sink, pa.ipc.new_stream(sink, schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
            sink.flush()


def bytes_read(process: int | str) -> int | None:
    """What a process has read so far, from files and pipes, from a disk or not. Only Linux tells; else None."""
    try:
        lines = Path(f"/proc/{process}/io").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("rchar:")), None)


def connect(task: Task, hot: pa.Table) -> duckdb.DuckDBPyConnection:
    """A database of nothing but the view `logs`, locked."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": task.threads,
            "memory_limit": f"{task.memory_bytes_max}B",
            "temp_directory": "",  # no spilling: it would write files
            "autoload_known_extensions": "false",
            "autoinstall_known_extensions": "false",
            "allow_community_extensions": "false",
            "allow_persistent_secrets": "false",
            "python_enable_replacements": "false",
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    # The setting takes no parameters.
    paths = ", ".join(f"'{path.replace(chr(39), chr(39) * 2)}'" for path in task.parquet_paths)
    connection.execute(f"SET allowed_paths = [{paths}]")
    connection.execute("SET enable_external_access = false")
    connection.register("hot_rows", hot)
    columns = ", ".join(f'"{name}"' for name in task.columns)
    parts = [f"SELECT {columns} FROM hot_rows"]
    if task.parquet_paths:
        parts.append(f"SELECT {columns} FROM read_parquet([{paths}], hive_partitioning = false)")
    connection.execute(f"CREATE VIEW {VIEW} AS {' UNION ALL '.join(parts)}")
    connection.execute("SET lock_configuration = true")
    return connection


def _limit_process(task: Task) -> None:
    memory_bytes = _BASE_BYTES + task.memory_bytes_max + 2 * task.hot_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # For the case that the server dies before it can kill this process.
    resource.setrlimit(resource.RLIMIT_CPU, (task.cpu_s_max, task.cpu_s_max))
    open_files = max(_OPEN_FILES_MAX, len(task.parquet_paths) + 64)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(open_files, hard), min(open_files, hard)))


def _fail(message: str, column: int | None) -> int:
    sys.stderr.write(json.dumps({"message": message, "column": column}) + "\n")
    return 1


if __name__ == "__main__":
    # Not through the interpreter's end: it would wait for DuckDB's threads after a failure.
    status = main()
    sys.stderr.flush()
    os._exit(status)
