from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tests.serve.conftest import Client, House, many, write_file


@pytest.fixture
def filled(house: House, tmp_path: Path) -> House:
    write_file(house, tmp_path / "older.parquet", many(100))
    house.hot.put([many(20, offset=1)])
    return house


def _post(client: Client, query: str, format: str = "json") -> bytes:
    answer = client.request("POST", "/api/sql", json={"query": query, "format": format})
    assert answer.status_code == 200, answer.text
    return answer.content


def test_sql_sees_hot_and_file(filled: House, client: Client) -> None:
    """A count over `logs` is that of all events, and JSON names the columns with their types."""
    answer = json.loads(
        _post(client, "SELECT service, count(*) AS n FROM logs GROUP BY ALL ORDER BY n DESC, service")
    )
    assert {name: answer[name] for name in ("columns", "rows", "count", "truncated")} == {
        "columns": [{"name": "service", "type": "string"}, {"name": "n", "type": "int64"}],
        "rows": [["auth", 41], ["pay", 40], ["web", 39]],
        "count": 3,
        "truncated": False,
    }


def test_sql_tells_what_it_took(house: House, client: Client, tmp_path: Path) -> None:
    """The time, and the bytes of the files that were read: a column that is not asked for is not among them. A cut
    answer has both, too, and the other formats have neither."""
    write_file(house, tmp_path / "large.parquet", many(60_000))
    size_bytes = (tmp_path / "large.parquet").stat().st_size
    small = json.loads(_post(client, "SELECT count(*) FROM logs"))
    large = json.loads(_post(client, "SELECT sum(length(message)), sum(log_offset), min(timestamp) FROM logs"))
    cut = json.loads(_post(client, "SELECT * FROM logs"))
    assert 0 < small["bytes_read"] < large["bytes_read"] < 2 * size_bytes
    assert (cut["truncated"], cut["bytes_read"] > 0) == (True, True)
    assert all(answer["elapsed_s"] > 0 for answer in (small, large, cut))
    assert not pa.ipc.open_stream(_post(client, "SELECT 1", "arrow")).schema.metadata


EVERY_TYPE = (
    "SELECT 1 AS a, 2 AS a, 1.5::DECIMAL(4, 1) AS d, 170141183460469231731687303715884105727 AS huge, "
    "NULL AS nothing, "
    "TIMESTAMP '2025-03-28 10:00:00' AS t, TIMESTAMPTZ '2025-03-28 10:00:00+02' AS z, DATE '2025-03-28' AS day, "
    "INTERVAL 3 DAYS AS i, [1, 2] AS l, MAP {'k': 'v'} AS m, {'x': 1} AS s, 'a\"b,\nc' AS \"quo'ted\", true AS b, "
    "'NaN'::DOUBLE AS nan, 'abc'::BLOB AS bytes, '6f1c8f4e-0000-4000-8000-000000000000'::UUID AS u, "
    "'x'::ENUM('x') AS e"
)


@pytest.mark.slow
def test_every_type_has_a_text(filled: House, client: Client) -> None:
    """Numbers, times, lists, maps and all others come as JSON, with equal column names too."""
    row = json.loads(_post(client, EVERY_TYPE))["rows"][0]
    assert row[:2] == [1, 2]
    assert row[5:8] == ["2025-03-28T10:00:00.000000", "2025-03-28T08:00:00.000000Z", "2025-03-28"]
    assert row[9:14] == [[1, 2], {"k": "v"}, {"x": 1}, 'a"b,\nc', True]
    assert row[14] == "nan"
    line = _post(client, EVERY_TYPE, "ndjson")
    assert line.count(b'"a":') == 2
    assert json.loads(line)["quo'ted"] == 'a"b,\nc'
    header, values = csv.reader(io.StringIO(_post(client, EVERY_TYPE, "csv").decode(), newline=""))
    assert header[-6] == "quo'ted"
    assert values[-6] == 'a"b,\nc'
    assert len(pa.ipc.open_stream(_post(client, EVERY_TYPE, "arrow")).read_all().column_names) == 18


@pytest.mark.slow
def test_json_is_cut_and_says_so_and_the_rest_is_not(filled: House, client: Client) -> None:
    """JSON stops at 10,000 rows with `truncated`; the streaming formats give all."""
    query = "SELECT range AS n FROM range(30000)"
    answer = json.loads(_post(client, query))
    assert (answer["count"], len(answer["rows"]), answer["truncated"]) == (10_000, 10_000, True)
    exact = json.loads(_post(client, "SELECT range AS n FROM range(10000)"))
    assert (exact["count"], exact["truncated"]) == (10_000, False)
    assert _post(client, query, "ndjson").count(b"\n") == 30_000
    assert _post(client, query, "csv").count(b"\n") == 30_001
    assert pa.ipc.open_stream(_post(client, query, "arrow")).read_all().num_rows == 30_000


def test_no_rows(filled: House, client: Client) -> None:
    """A result without rows is a whole answer."""
    query = "SELECT level FROM logs WHERE false"
    assert json.loads(_post(client, query))["rows"] == []
    assert _post(client, query, "csv") == b'"level"\n'
    assert _post(client, query, "ndjson") == b""
    assert pa.ipc.open_stream(_post(client, query, "arrow")).read_all().num_rows == 0


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"", 400, "body"),
        (b"SELECT 1", 400, "JSON"),
        (b'{"query": "SELECT 1", "max": 1}', 400, "max"),
        (b'{"query": "SELECT 1", "format": "xml"}', 400, "format"),
        (b'{"query": "DROP VIEW logs"}', 400, "only SELECT"),
        (b'{"query": "SELECT nothing FROM logs", "format": "csv"}', 400, "nothing"),
        (b'{"query": "' + b" " * (1 << 20) + b'SELECT 1"}', 413, "larger"),
    ],
)
def test_what_is_wrong_is_told(filled: House, client: Client, content: bytes, status: int, said: str) -> None:
    """A wrong request or statement is a problem document, in every format."""
    answer = client.request("POST", "/api/sql", content=content)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


@pytest.mark.slow
def test_a_statement_past_its_time_is_told(make_house: Callable[..., House]) -> None:
    """The time cap is a 400 that names its setting, and the place at work is free again."""
    client = make_house(time_max_s=0.4, sql_max=1).client()
    for _ in range(2):
        query = "SELECT sum(a.range + b.range) FROM range(1000000) a, range(1000000) b"
        answer = client.request("POST", "/api/sql", json={"query": query})
        assert answer.status_code == 400
        assert "query.time_max_s" in answer.json()["detail"]
