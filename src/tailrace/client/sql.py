"""`tailrace sql`: read-only SQL over the lake, from the shell."""

from __future__ import annotations

import sys

import click
import orjson

from tailrace.client.connection import Connection
from tailrace.client.options import url_option
from tailrace.client.output import cell_text, write_line, write_table
from tailrace.client.query_errors import shown_with

_JSON_HEADERS = {"content-type": "application/json"}


@click.command()
@click.argument("query")
@click.option(
    "--output",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="json (one object a line) and csv are streamed, without a cap on rows.",
)
@url_option
def sql(query: str, output: str, url: str) -> None:
    """Ask in SQL. QUERY is one SELECT in DuckDB's dialect over the table `logs`; `-` reads it from standard input.

    The columns are timestamp, observed_timestamp, level, service, host, message, trace_id, span_id and attributes
    (a map from text to text). Nothing can be changed, and no file or address be read.

    \b
    Examples:
      tailrace sql "SELECT service, count(*) AS events FROM logs GROUP BY ALL ORDER BY events DESC"
      tailrace sql "SELECT date_trunc('minute', timestamp) AS minute, count(*) AS errors
                    FROM logs WHERE level = 'ERROR' GROUP BY ALL ORDER BY minute"
      tailrace sql "SELECT quantile_cont(attributes['latency_ms']::INT, 0.99) AS p99 FROM logs"
      tailrace sql --output csv - < report.sql > report.csv
    """
    text = sys.stdin.read() if query == "-" else query
    with shown_with(text), Connection(url) as connection:
        if output == "table":
            _print_table(connection, text)
        else:
            _print_lines(connection, text, "ndjson" if output == "json" else "csv")


def _print_table(connection: Connection, text: str) -> None:
    body = orjson.dumps({"query": text, "format": "json"})
    answer = connection.request("POST", "/api/sql", body=body, headers=_JSON_HEADERS).json()
    columns = [column["name"] for column in answer["columns"]]
    write_table(columns, [[cell_text(cell) for cell in row] for row in answer["rows"]])
    if answer["truncated"]:
        click.echo(
            f"only the first {len(answer['rows']):,} rows; --output json or csv gives all of them, LIMIT fewer",
            err=True,
        )


def _print_lines(connection: Connection, text: str, form: str) -> None:
    body = orjson.dumps({"query": text, "format": form})
    for line in connection.stream_lines("POST", "/api/sql", body=body, headers=_JSON_HEADERS):
        write_line(line)
    sys.stdout.buffer.flush()
