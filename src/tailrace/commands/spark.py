"""`tailrace spark`: the jobs that run on Spark, where one machine is not enough."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import pyarrow as pa

from tailrace.client.output import cell_text, write_table
from tailrace.commands.settings_options import settings_options
from tailrace.config import Settings
from tailrace.config_load import LoadedSettings
from tailrace.errors import RetryLater, Stop
from tailrace.jobs.output import write_answer
from tailrace.jobs.places import has_table, lake_place
from tailrace.jobs.scan import Scan, files_of
from tailrace.jobs.session import Cluster, need_pyspark, reason_of, session
from tailrace.model.clock import system_clock_us
from tailrace.query.times import parse_time
from tailrace.store.lake.files import DataFile
from tailrace.store.lake.table import LakeTable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

R = TypeVar("R")


@click.group()
def spark() -> None:
    """Store, count, and index again on Spark, where one machine is not enough.

    Needs `pip install 'tailrace[spark]'` and Java 17. The executors need the same packages.
    """


def job_options(command: Callable[..., R]) -> Callable[..., R]:
    """Adds the settings' options, --lake, and what Spark needs; calls the command with the lake's URL."""

    @settings_options
    @click.option(
        "--lake",
        metavar="URL",
        help="The lake: file:///PATH, s3://BUCKET/PATH, hdfs://HOST:PORT/PATH.  [default: that of the settings]",
    )
    @click.option(
        "--master",
        metavar="URL",
        default="local[2]",
        show_default=True,
        help="Spark's master: local[N], spark://HOST:PORT, yarn…",
    )
    @click.option(
        "--jars",
        metavar="PATH",
        multiple=True,
        type=click.Path(path_type=Path),
        help="A jar for Spark, or a folder of them.",
    )
    @click.option(
        "--conf", metavar="NAME=VALUE", multiple=True, help="A property of Spark, such as spark.executor.memory=4g."
    )
    @wraps(command)
    def with_job(
        loaded: LoadedSettings,
        lake: str | None,
        master: str,
        jars: tuple[Path, ...],
        conf: tuple[str, ...],
        *args: Any,
        **kwargs: Any,
    ) -> R:
        need_pyspark()
        url = lake or _lake_url(loaded.settings)
        return command(loaded.settings, Cluster(master, jars, _pairs(conf, "--conf")), url, *args, **kwargs)

    return with_job


@spark.command()
@job_options
@click.option(
    "--log", "log_url", metavar="URL", help="The topic: kafka://HOST:PORT/TOPIC.  [default: log.url of the settings]"
)
@click.option("--once", is_flag=True, help="Store what is in the topic now, then end.")
@click.option(
    "--trigger",
    "trigger_s",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Seconds from one commit to the next.",
)
@click.option(
    "--batch-bytes",
    type=click.IntRange(min=1),
    default=512 << 20,
    show_default=True,
    help="About so much of the topic makes one commit.",
)
@click.option(
    "--source",
    metavar="NAME=VALUE",
    multiple=True,
    help="An option of Spark's Kafka source, such as kafka.ssl.truststore.location=….",
)
def stream(
    settings: Settings,
    cluster: Cluster,
    lake_url: str,
    log_url: str | None,
    once: bool,
    trigger_s: float,
    batch_bytes: int,
    source: tuple[str, ...],
) -> None:
    """Store the topic's events in the lake, each once.

    Reads on where the lake has ended, whoever filled it. Needs the jars of Spark's Kafka source.
    """
    from tailrace.jobs.stream import Streaming
    from tailrace.jobs.stream import stream as run
    from tailrace.wiring.log import is_shared, open_letters
    from tailrace.wiring.opening import Opening

    if log_url is not None:
        settings = settings.model_copy(update={"log": settings.log.model_copy(update={"url": log_url})})
    if not is_shared(settings.log):
        raise Stop(f"log.url = {settings.log.url!r}: Spark reads a topic; give --log kafka://HOST:PORT/TOPIC")
    asked = Streaming(lake_url, None if once else trigger_s, batch_bytes, _pairs(source, "--source"))
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with contextlib.ExitStack() as stack:
        claims = open_letters(Opening(settings, stack, clock=system_clock_us))
        lake = stack.enter_context(lake_place(lake_url, settings))
        spark = stack.enter_context(session(cluster, "tailrace stream"))
        done = run(spark, asked, lake, claims, settings=settings, clock=system_clock_us, stopping=stopping)
    click.echo(
        f"{done.events:,} events stored in {done.files:,} files and {done.commits:,} commits; "
        f"{done.letters:,} dead letters"
    )


def scan_options(command: Callable[..., R]) -> Callable[..., R]:
    """Adds --since and --until to those of `job_options`; calls the command with what is to be read."""

    @job_options
    @click.option("--since", metavar="TIME", help="From this time on: 15m, 2h, yesterday, 2025-03-28T10:00.")
    @click.option("--until", metavar="TIME", help="Up to the end of this time.")
    @wraps(command)
    def with_scan(
        settings: Settings,
        cluster: Cluster,
        lake_url: str,
        since: str | None,
        until: str | None,
        *args: Any,
        **kwargs: Any,
    ) -> R:
        now_us = system_clock_us()
        start_us = parse_time(since, now_us=now_us)[0] if since else None
        end_us = parse_time(until, now_us=now_us)[1] if until else None
        return command(settings, cluster, Scan(settings, lake_url, start_us, end_us), *args, **kwargs)

    return with_scan


_to_file = click.option(
    "--output",
    metavar="PATH",
    help="FILE.csv, FILE.parquet, or a Delta table's folder or URL.  [default: the terminal]",
)


@spark.command()
@scan_options
@_to_file
def counts(settings: Settings, cluster: Cluster, scan: Scan, output: str | None) -> None:
    """Count events per minute, level and service."""
    from tailrace.jobs import counts as job

    with _job(cluster, scan, "tailrace counts") as (session, files):
        answer = job.counts(session, files, scan).toArrow()
    _show(answer, output, settings)


@spark.command(name="top-messages")
@scan_options
@_to_file
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@click.option("--shapes", is_flag=True, help="Take messages that differ in numbers only for the same.")
def top_messages(
    settings: Settings, cluster: Cluster, scan: Scan, output: str | None, limit: int, shapes: bool
) -> None:
    """Find the messages that come most often."""
    from tailrace.jobs import counts as job

    with _job(cluster, scan, "tailrace top-messages") as (session, files):
        answer = job.top_messages(session, files, scan, limit=limit, shapes=shapes).toArrow()
    _show(answer, output, settings)


@spark.command()
@scan_options
@click.option(
    "--to", required=True, metavar="URL", help="elasticsearch://HOST:PORT/NAME, Elasticsearch or OpenSearch."
)
def reindex(settings: Settings, cluster: Cluster, scan: Scan, to: str) -> None:
    """Index the lake's events in Elasticsearch or OpenSearch, as the worker would have.

    What is there already stays as it is, so this may be run again. Exit status 1: some were refused for good.
    """
    from tailrace.jobs import reindex as job

    with _job(cluster, scan, "tailrace reindex") as (session, files):
        done = job.reindex(session, files, scan, to=to)
    click.echo(f"{done.events:,} events of {len(files):,} files are indexed; {done.refused:,} were refused")
    for reason in done.reasons:
        click.echo(f"refused: {reason}", err=True)
    if done.refused:
        raise SystemExit(1)


@contextlib.contextmanager
def _job(cluster: Cluster, scan: Scan, name: str) -> Iterator[tuple[SparkSession, Sequence[DataFile]]]:
    """The session, and the files to read. Raises `RetryLater` with the cause when a task fails for good."""
    from pyspark.errors import PySparkException

    with lake_place(scan.lake_url, scan.settings) as place:
        if not has_table(place):
            raise Stop(f"{scan.lake_url}: there is no lake here; name another with --lake")
        files = files_of(LakeTable(place, clock=system_clock_us).state().files.values(), scan)
    with session(cluster, name) as spark:
        try:
            yield spark, files
        except PySparkException as error:
            raise RetryLater(reason_of(error)) from error


def _show(answer: pa.Table, output: str | None, settings: Settings) -> None:
    if output is not None:
        write_answer(answer, output, settings.lake.storage_options)
        click.echo(f"{answer.num_rows:,} rows written to {output}")
        return
    rows = [[cell_text(cell) for cell in row.values()] for row in answer.to_pylist()]
    write_table(answer.column_names, rows)


def _lake_url(settings: Settings) -> str:
    from tailrace.wiring.stores import targets

    target = next((target for target in targets(settings) if target.kind == "lake"), None)
    if target is None:
        raise Stop(f"stores = {list(settings.stores)}: there is no lake among them; give --lake URL")
    return (settings.data / "lake").absolute().as_uri() if target.url == "lake" else target.url


def _pairs(assignments: Sequence[str], option: str) -> dict[str, str]:
    pairs = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise click.BadParameter(f"{assignment!r} is not NAME=VALUE", param_hint=option)
        pairs[name.strip()] = value.strip()
    return pairs
