"""Where the answer of a job goes. It has been added up, and so fits on the driver: one file, in any place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from deltalake import write_deltalake
from deltalake.exceptions import DeltaError

from tailrace.errors import RetryLater


def write_answer(answer: pa.Table, to: str, storage_options: Mapping[str, str]) -> None:
    """`to` is FILE.csv, FILE.parquet, or the folder or URL of a Delta table; what is there is replaced.

    Raises `RetryLater` when the place refuses.
    """
    try:
        if "://" not in to and to.endswith((".csv", ".parquet")):
            _write_file(answer, Path(to))
        else:
            write_deltalake(
                to, answer, mode="overwrite", schema_mode="overwrite", storage_options=dict(storage_options)
            )
    except (OSError, DeltaError) as error:
        raise RetryLater(f"{to}: cannot be written: {error}") from error


def _write_file(answer: pa.Table, path: Path) -> None:
    """A reader sees the whole answer or the one before."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        if path.suffix == ".csv":
            pyarrow.csv.write_csv(answer, draft)
        else:
            pq.write_table(answer, draft, compression="zstd")
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
