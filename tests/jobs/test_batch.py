"""Batch jobs over a lake in every place, through the command."""

from __future__ import annotations

import contextlib
import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from deltalake import DeltaTable
from deploy.local.elasticsearch import Elasticsearch
from deploy.local.hdfs import Hdfs
from deploy.local.s3 import S3

import tailrace.commands.spark as command
from tailrace.config import ElasticsearchSettings, LakeSettings, QuerySettings, Settings
from tailrace.errors import Stop
from tailrace.jobs.places import lake_place
from tailrace.model.batch import TIMESTAMP, batch_of_rows, with_identity
from tailrace.model.clock import system_clock_us
from tailrace.ops.metrics import Metrics
from tailrace.store.dead_letters import DeadLetters
from tailrace.store.duck import Duck
from tailrace.store.elasticsearch.server import Server
from tailrace.store.elasticsearch.store import ElasticsearchStore
from tailrace.store.lake.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow

FIRST_US = 1_742_040_000_000_000
"""2025-03-15T12:00:00Z."""
MINUTE_US = 60_000_000
LEVELS = ("INFO", "WARN", None)
EVENTS = [
    {
        "timestamp": FIRST_US + number * 7_000_000,
        # Two days of arrival.
        "observed_timestamp": FIRST_US + number % 2 * 86_400_000_000,
        "level": LEVELS[number % 3],
        "service": "pay" if number % 5 else None,
        "message": f"order {number} took {number % 7} ms" if number % 4 else "no answer from db-2",
        "attributes": {"number": str(number)},
    }
    for number in range(600)
]


def fill(settings: Settings, lake_url: str) -> None:
    """Three flushes, each of two days and so two files."""
    duck = Duck(QuerySettings(), temp_directory=settings.data / "temporary")
    with contextlib.closing(duck), lake_place(lake_url, settings) as place:
        lake = Lake(place, engine=duck, clock=system_clock_us, metrics=Metrics())
        for offset in range(3):
            batch = batch_of_rows(EVENTS[offset * 200 : offset * 200 + 200])
            lake.write([with_identity(batch, 0, offset)], {0: offset + 1})


@pytest.fixture(autouse=True)
def one_session(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands are given the session that is there: a new one takes six seconds."""

    @contextlib.contextmanager
    def given(*_: object) -> Iterator[SparkSession]:
        yield spark

    monkeypatch.setattr(command, "session", given)


@pytest.fixture(params=["file", "s3", "hdfs"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """A lake with EVENTS, in each kind of place: the options that name it."""
    options: dict[str, str] = {}
    lake_url = f"file://{tmp_path}/lake"
    if request.param == "s3":
        s3: S3 = request.getfixturevalue("s3")
        lake_url = f"{s3.make_bucket('spark')}/lake"
        options = s3.storage_options
    elif request.param == "hdfs":
        hdfs: Hdfs = request.getfixturevalue("hdfs")
        lake_url = f"{hdfs.url}/spark/lake"
    fill(Settings(data=tmp_path, lake=LakeSettings(storage_options=options)), lake_url)
    config = tmp_path / "tailrace.toml"
    config.write_text(
        "".join(["[lake.storage_options]\n", *(f"{name} = '{text}'\n" for name, text in options.items())])
    )
    return ["--lake", lake_url, "--data", str(tmp_path), "--config", str(config)]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(command.spark, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def minute(event: dict[str, Any]) -> int:
    return int(event["timestamp"]) // MINUTE_US * MINUTE_US


def test_counts_are_those_of_the_events(lake: list[str], tmp_path: Path) -> None:
    """Per minute, level and service, in every place; of an hour, and of all time."""
    whole, part = tmp_path / "whole.parquet", tmp_path / "part.parquet"
    run("counts", *lake, "--output", str(whole))
    run("counts", *lake, "--since", "2025-03-15T12:10", "--until", "2025-03-15T12:19", "--output", str(part))
    expected = Counter((minute(event), event["level"], event["service"]) for event in EVENTS)
    assert counted(whole) == expected
    inside = range(FIRST_US + 10 * MINUTE_US, FIRST_US + 20 * MINUTE_US)
    assert counted(part) == {cell: count for cell, count in expected.items() if cell[0] in inside}


def counted(path: Path) -> dict[tuple[int, str | None, str | None], int]:
    table = pq.read_table(path)
    minutes = table["minute"].cast(TIMESTAMP).cast("int64").to_pylist()
    rows = zip(minutes, *(table[name].to_pylist() for name in ("level", "service", "events")), strict=True)
    return {(at_us, level, service): events for at_us, level, service, events in rows}


def test_where_there_is_no_lake_none_is_made(tmp_path: Path) -> None:
    """A path that is written wrong is said."""
    result = CliRunner().invoke(
        command.spark, ["counts", "--lake", f"file://{tmp_path}/typo", "--data", str(tmp_path)]
    )
    assert isinstance(result.exception, Stop)
    assert "there is no lake here" in str(result.exception)
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("lake", ["file"], indirect=True)
def test_top_messages_go_to_the_terminal_a_file_or_a_table(lake: list[str], tmp_path: Path) -> None:
    """As they are, or by their shape; the most frequent first."""
    shown = run("top-messages", *lake, "--limit", "2").splitlines()
    assert shown[2].split(maxsplit=1) == ["150", "no answer from db-2"]
    assert len(shown) == 4
    run("top-messages", *lake, "--shapes", "--output", str(tmp_path / "top.csv"))
    with (tmp_path / "top.csv").open() as file:
        assert list(csv.reader(file)) == [
            ["events", "message"],
            ["450", "order # took # ms"],
            ["150", "no answer from db-#"],
        ]
    for _ in range(2):
        run("top-messages", *lake, "--shapes", "--output", str(tmp_path / "top"))
    assert DeltaTable(tmp_path / "top").to_pyarrow_dataset().count_rows() == 2


@pytest.mark.parametrize("lake", ["file"], indirect=True)
def test_reindexed_documents_are_those_of_the_worker(
    lake: list[str], elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    """The same `_id`s and the same documents, also when it is run twice, and beside what was there."""
    for name in ("spark-worker", "spark-job"):
        server = Server(elasticsearch.store_url(name))
        server.request("DELETE", f"/{name}-*", expected=(404,))
        server.close()
    store = ElasticsearchStore(
        elasticsearch.store_url("spark-worker"),
        settings=ElasticsearchSettings(),
        clock=system_clock_us,
        metrics=Metrics(),
        dead_letters=DeadLetters(tmp_path / "letters.db"),
    )
    with contextlib.closing(store):
        store.write(
            [with_identity(batch_of_rows(EVENTS[at : at + 200]), 0, at // 200) for at in (0, 200, 400)], {0: 3}
        )
    to = elasticsearch.store_url("spark-job")
    assert run("reindex", *lake, "--to", to, "--until", "2025-03-15T12:30").startswith("266 events")
    for _ in range(2):
        assert run("reindex", *lake, "--to", to) == "600 events of 6 files are indexed; 0 were refused\n"
    assert documents(elasticsearch, "spark-job") == documents(elasticsearch, "spark-worker")


@pytest.mark.parametrize("lake", ["file"], indirect=True)
def test_what_the_server_refuses_is_said(lake: list[str], elasticsearch: Elasticsearch) -> None:
    """With the reason and an identity, and by the exit status; the lake keeps the events."""
    to = elasticsearch.store_url("spark-strict")
    server = Server(to)
    with contextlib.closing(server):
        server.request("DELETE", "/spark-strict-*", expected=(404,))
        for day in ("15", "16"):
            server.create_index(f"spark-strict-2025.03.{day}", {"mappings": {"dynamic": "strict"}})
    result = CliRunner().invoke(command.spark, ["reindex", *lake, "--to", to])
    assert result.exit_code == 1
    assert result.stdout == "600 events of 6 files are indexed; 600 were refused\n"
    assert "refused: 0-0-0: strict_dynamic_mapping_exception" in result.stderr


def documents(elasticsearch: Elasticsearch, name: str) -> dict[tuple[str, str], Any]:
    """By day and `_id`."""
    server = Server(elasticsearch.store_url(name))
    with contextlib.closing(server):
        found = server.request("POST", f"/{name}-*/_search", {"size": 10_000, "query": {"match_all": {}}})
    hits = found["hits"]["hits"]
    assert len(hits) == len(EVENTS)
    return {(hit["_index"].removeprefix(name), hit["_id"]): hit["_source"] for hit in hits}
