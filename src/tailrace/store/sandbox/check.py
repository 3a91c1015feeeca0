"""Which SQL may run: one SELECT over `logs` and what it builds itself. Pure but for DuckDB's parser.

This is one of three fences. The second is DuckDB's own configuration (no files but the snapshot's, no network, no
extensions, settings locked), the third is the process it runs in (`tailrace.store.sandbox.process`): without an
environment, killed at its time, and held by the kernel to its memory and to not writing any file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb

from tailrace.errors import QueryError

VIEW = "logs"
"""The one table that queries see."""

_QUERY_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})

# What makes rows of its arguments alone. All others read files, settings, secrets or raw memory, run SQL that was
# not checked, or change something.
_TABLE_FUNCTIONS = frozenset(
    {"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree", "icu_calendar_names"}
    | {"pg_timezone_names", "histogram", "histogram_values", "duckdb_functions"}
)

# What looks at or changes the server instead of computing a value. A schema or catalog before the name is no way
# round: names are compared without it.
_FUNCTIONS_REFUSED = frozenset(
    {"current_setting", "getenv", "getvariable", "write_log", "nextval", "currval", "parse_duckdb_log_message"}
    | {"json_execute_serialized_sql", "json_serialize_plan", "set_config", "txid_current", "current_database"}
    | {"pg_read_file", "query", "query_table", "current_query", "add_parquet_key", "in_search_path"}
)


def check_sql(text: str, connection: duckdb.DuckDBPyConnection) -> None:
    """Raises `QueryError`, with the column where it is known, for everything but one harmless SELECT."""
    try:
        statements = connection.extract_statements(text)
    except duckdb.Error as error:
        raise _parse_error(text, connection) from error
    if len(statements) != 1:
        raise QueryError(f"one SELECT statement is needed, not {len(statements)} statements")
    kind = str(statements[0].type).rpartition(".")[2]
    if kind == "MULTI":
        raise QueryError("PIVOT needs its values here: PIVOT logs ON level IN ('ERROR', 'WARN') USING count(*)")
    if kind != "SELECT":
        raise QueryError(f"only SELECT is allowed here, not {kind}")
    tree = _serialize(text, connection)
    if tree.get("error"):
        raise _parse_error(text, connection)
    nodes = list(_nodes(tree["statements"]))
    names = {VIEW} | {name.casefold() for node in nodes for name in _cte_names(node)}
    for node in nodes:
        _check_node(node, names, text)


def _check_node(node: dict[str, Any], tables: set[str], text: str) -> None:
    kind = node.get("type")
    column = _column(node, text)
    if isinstance(kind, str) and kind.endswith("_NODE") and kind not in _QUERY_NODES:
        raise QueryError("only SELECT is allowed here, inside WITH too", column=column)
    if kind == "BASE_TABLE":
        path = node["qualified_name"]["path"]
        if len(path) != 1 or str(path[0]).casefold() not in tables:
            raise QueryError(f"there is no table {'.'.join(map(str, path))!r}; the table is {VIEW}", column=column)
    if kind == "SHOW_REF" and node.get("query") is None:
        raise QueryError(f"SHOW is not allowed here; DESCRIBE {VIEW} lists the columns", column=column)
    if kind == "TABLE_FUNCTION":
        name = _function_name(node["function"])
        if name not in _TABLE_FUNCTIONS:
            raise QueryError(f"the table function {name!r} is not allowed here", column=column)
    if node.get("class") == "FUNCTION" and _function_name(node) in _FUNCTIONS_REFUSED:
        raise QueryError(f"the function {_function_name(node)!r} is not allowed here", column=column)


def _function_name(function: dict[str, Any]) -> str:
    return str(function["function_name"]).casefold()


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of the tree; with a stack of its own, for queries that are nested deeply."""
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _cte_names(node: dict[str, Any]) -> Iterator[str]:
    for entry in (node.get("cte_map") or {}).get("map", ()):
        yield str(entry["key"])
    if node.get("type") in {"RECURSIVE_CTE_NODE", "CTE_NODE"}:
        yield str(node.get("cte_name", VIEW))


def _serialize(text: str, connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    try:
        # All rows: DuckDB wants a result to be read out before the next statement.
        rows = connection.execute("SELECT json_serialize_sql($text)", {"text": text}).fetchall()
    except duckdb.Error as error:
        raise QueryError(first_line(error)) from error
    try:
        tree: dict[str, Any] = json.loads(rows[0][0])
    except (ValueError, RecursionError) as error:
        raise QueryError("the query is nested too deeply") from error
    return tree


def _parse_error(text: str, connection: duckdb.DuckDBPyConnection) -> QueryError:
    told = _serialize(text, connection)
    position = str(told.get("position", ""))
    column = _character(text, int(position)) if position.isdecimal() else None
    return QueryError(str(told.get("error_message", "the query cannot be read")), column=column)


def _column(node: dict[str, Any], text: str) -> int | None:
    position = node.get("query_location")
    return _character(text, position) if isinstance(position, int) and position < len(text.encode()) else None


def _character(text: str, byte: int) -> int:
    """DuckDB counts bytes from 0; people count characters from 1."""
    return len(text.encode()[:byte].decode(errors="ignore")) + 1


def first_line(error: Exception) -> str:
    """DuckDB's message without the echo of the query and the advice that follows it."""
    return str(error).partition("\n")[0]
