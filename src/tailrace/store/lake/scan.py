"""From parts of files to the SQL that reads just those, and to windows of time to be sorted one by one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from tailrace.model.batch import STORED_SCHEMA
from tailrace.query.text_match import text_literal
from tailrace.store.lake.parts import Numbers, Part
from tailrace.store.lake.place_port import Place

# Each branch of a UNION costs DuckDB a fraction of a millisecond; past this, whole files are cheaper.
_BRANCHES_MAX = 256
# A file whose groups are mostly wanted is read whole: DuckDB then skips by statistics alone.
_MOSTLY = 0.5
# Rows that are sorted at once for a stream; some hundred megabytes, within the memory that DuckDB is given.
_WINDOW_ROWS = 262_144
# How much more than once the rows may be read, for the sake of small windows, before one big sort is cheaper.
_READ_AGAIN_MAX = 4

_COLUMNS = ", ".join(STORED_SCHEMA.names)
_DUCK_TYPES = {"attributes": "MAP(VARCHAR, VARCHAR)", "log_partition": "INTEGER", "log_offset": "BIGINT"}
_NOTHING = ", ".join(
    f"NULL::{'TIMESTAMPTZ' if 'timestamp' in name else 'INTEGER' if name == 'log_row' else 'VARCHAR'} AS {name}"
    if name not in _DUCK_TYPES
    else f"NULL::{_DUCK_TYPES[name]} AS {name}"
    for name in STORED_SCHEMA.names
)


def source_sql(place: Place, parts: Sequence[Part]) -> str:
    """What stands after FROM to read the parts; rows of other groups may come too where a part allows it.

    The files are to be held while it is read.
    """
    if not parts:
        return f"(SELECT {_NOTHING} WHERE false)"
    whole = [part for part in parts if len(part.groups) >= _share_read_whole(part) * len(part.footer.rows)]
    partial = [part for part in parts if len(part.groups) < _share_read_whole(part) * len(part.footer.rows)]
    if len(partial) > _BRANCHES_MAX:
        whole += [part for part in partial if not part.exactly]
        partial = [part for part in partial if part.exactly]
    branches = [_groups_sql(place, part) for part in partial]
    if whole:
        paths = ", ".join(_path(place, part) for part in whole)
        branches.append(f"SELECT {_COLUMNS} FROM read_parquet([{paths}], hive_partitioning = false)")
    return f"({' UNION ALL '.join(branches)})"


def _share_read_whole(part: Part) -> float:
    return 1 if part.exactly else _MOSTLY


def merged(parts: Iterable[Part]) -> list[Part]:
    """Parts of the same file as one."""
    by_file: dict[str, list[Part]] = {}
    for part in parts:
        by_file.setdefault(part.file.path, []).append(part)
    return [
        same[0] if len(same) == 1 else same[0].only(np.unique(np.concatenate([part.groups for part in same])))
        for same in by_file.values()
    ]


def windows(parts: Sequence[Part]) -> list[tuple[int, int]]:
    """Cut the time of the parts into windows `start_us <= time < end_us`, in rising order, that hold together all
    their rows and each about _WINDOW_ROWS of them.

    One window for all where most parts lie over each other, since each window would read them anew.
    """
    if not parts:
        return []
    first = np.concatenate([part.footer.first_us[part.groups] for part in parts])
    last = np.concatenate([part.footer.last_us[part.groups] for part in parts])
    rows = np.concatenate([part.footer.rows[part.groups] for part in parts])
    cuts = [*_cuts(first, rows), int(last.max()) + 1]
    found = list(pairwise(cuts))
    read = sum(int(rows[(first < end) & (last >= start)].sum()) for start, end in found)
    return found if read <= _READ_AGAIN_MAX * int(rows.sum()) else [(cuts[0], cuts[-1])]


def _cuts(first: Numbers, rows: Numbers) -> list[int]:
    """Where windows begin: at the beginning of a group, behind groups of enough rows."""
    order = np.argsort(first, kind="stable")
    cuts = [int(first[order[0]])]
    held = 0
    for group in order.tolist():
        if held >= _WINDOW_ROWS and first[group] > cuts[-1]:
            cuts.append(int(first[group]))
            held = 0
        held += int(rows[group])
    return cuts


def _groups_sql(place: Place, part: Part) -> str:
    """DuckDB opens only the row groups that the ranges of row numbers lie in."""
    ranges = " OR ".join(f"file_row_number BETWEEN {start} AND {end - 1}" for start, end in _ranges(part))
    return (
        f"SELECT {_COLUMNS} FROM read_parquet({_path(place, part)}, hive_partitioning = false, "
        f"file_row_number = true) WHERE {ranges}"
    )


def _ranges(part: Part) -> list[tuple[int, int]]:
    """The rows of the part's groups, neighbours as one range."""
    found: list[tuple[int, int]] = []
    for group in part.groups.tolist():
        start = int(part.footer.starts[group])
        end = start + int(part.footer.rows[group])
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def _path(place: Place, part: Part) -> str:
    # DuckDB takes a path for a pattern; a class of one character is that character.
    return text_literal(re.sub(r"[*?\[]", r"[\g<0>]", str(place.local(part.file.path))))
