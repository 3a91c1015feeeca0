"""Read-only SQL over a snapshot of the events, in a process of its own that holds nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import orjson
import pyarrow as pa

from tailrace.config import QuerySettings
from tailrace.errors import QueryError, RetryLater
from tailrace.model.batch import STORED_SCHEMA
from tailrace.store.sandbox.process import BYTES_READ_BEFORE, bytes_read

_CPU_GRACE_S = 10
_FAILURE_BYTES_MAX = 64 << 10


@dataclass(frozen=True, slots=True)
class Tables:
    """The same events as a snapshot's, as tables.

    `parquet_paths`: files on local disk that hold, each, at least the columns of STORED_SCHEMA.
    `hot`: STORED_SCHEMA, the events that are in none of the files.
    """

    parquet_paths: Sequence[str]
    hot: pa.Table


class Tabular(Protocol):
    """A searchable that can hand out its events as tables, for SQL."""

    def tables(self) -> AbstractContextManager[Tables]:
        """Hold a view: no file of it is deleted before it is let go (or before the query time cap is over)."""
        ...


class SqlRun:
    """One statement at work. `start` it, then read it to the end or leave it; `close` in any case.

    Read by one thread; `cancel` may be called from any.
    """

    def __init__(self, tables: Tables, settings: QuerySettings) -> None:
        """Starts the process. Raises `RetryLater` when that cannot be."""
        self._settings = settings
        self._tables = tables
        self._timed_out = False
        self._bytes_read_at_end: int | None = None
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-m", "tailrace.store.sandbox.process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                env={},
                start_new_session=True,
            )
        except OSError as error:
            raise RetryLater(f"the process for SQL cannot be started: {error}") from error
        self._timer = threading.Timer(settings.time_max_s, self._stop_at_time_cap)
        self._timer.daemon = True
        self._timer.start()

    def start(self, query: str) -> None:
        """Hand over the statement and the hot rows, and wait for the result's schema.

        Raises `QueryError` when the statement is not allowed, is wrong, or passes its time or memory.
        """
        task = {
            "query": query,
            "parquet_paths": list(self._tables.parquet_paths),
            "columns": STORED_SCHEMA.names,
            "memory_bytes_max": self._settings.memory_bytes_max,
            "hot_bytes": self._tables.hot.nbytes,
            "threads": self._settings.threads,
            "cpu_s_max": int(self._settings.time_max_s * self._settings.threads) + _CPU_GRACE_S,
        }
        self._send(task, self._tables.hot)
        self._reader = self._open()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def schema(self) -> pa.Schema:
        metadata = dict(self._reader.schema.metadata or {})
        metadata.pop(BYTES_READ_BEFORE, None)
        return self._reader.schema.with_metadata(metadata or None)

    def bytes_read(self) -> int | None:
        """What the statement has read of the files so far, from the disk or the system's cache; None where the system
        does not tell. It is some kilobytes too much: what DuckDB reads of the system's own files is in it.
        """
        before = (self._reader.schema.metadata or {}).get(BYTES_READ_BEFORE)
        now = self._bytes_read_at_end or bytes_read(self._process.pid)
        return None if before is None or now is None else now - int(before)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Raises `QueryError` in the middle when the statement fails there: what came before is not whole."""
        try:
            yield from self._reader
        except (pa.ArrowInvalid, OSError) as error:
            raise self._failure() from error
        # While the process has not been waited for, the system still knows what it has read.
        self._bytes_read_at_end = bytes_read(self._process.pid)
        # A stream that is cut between two batches looks ended to Arrow; only the exit status tells.
        if self._process.wait() != 0:
            raise self._failure()

    def cancel(self) -> None:
        """Stop the statement now; whoever reads it gets an error."""
        self._process.kill()

    def close(self) -> None:
        self._timer.cancel()
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None and not pipe.closed:
                _close_quietly(pipe)

    def __enter__(self) -> SqlRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, task: dict[str, Any], hot: pa.Table) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(orjson.dumps(task) + b"\n")
            with pa.ipc.new_stream(stdin, STORED_SCHEMA) as writer:
                writer.write_table(hot)
            stdin.close()
        except (BrokenPipeError, pa.ArrowException, OSError) as error:
            raise self._failure() from error

    def _open(self) -> pa.RecordBatchReader:
        try:
            return pa.ipc.open_stream(self._process.stdout)
        except (pa.ArrowInvalid, OSError) as error:
            raise self._failure() from error

    def _failure(self) -> QueryError:
        """What the process said, or else how it ended. Waits for its end."""
        assert self._process.stderr is not None
        told = self._process.stderr.read(_FAILURE_BYTES_MAX)
        status = self._process.wait()
        if self._timed_out:
            return QueryError(
                f"the query ran longer than {self._settings.time_max_s:g} s (query.time_max_s); "
                "give it a shorter time range or a LIMIT"
            )
        try:
            failure = json.loads(told)
            return QueryError(failure["message"], column=failure["column"])
        except (ValueError, KeyError, TypeError):
            # Native code that is refused memory often ends its process without a word.
            return QueryError(
                f"the query ended its process (status {status}), most likely because it needs more memory than "
                f"query.memory_bytes_max ({self._settings.memory_bytes_max:,} bytes) allows"
            )

    def _stop_at_time_cap(self) -> None:
        self._timed_out = True
        self._process.kill()


def _close_quietly(pipe: Any) -> None:
    # Closing a pipe flushes it, and its other end is gone.
    try:
        pipe.close()
    except OSError:
        return
