"""`tailrace generate`: realistic events to a server, or into a Kafka topic, at a chosen rate."""

from __future__ import annotations

import math
import sys
import threading
import time

import click
import pyarrow as pa

from tailrace.client import options
from tailrace.client.connection import DEFAULT_URL, Connection, ServerError, Unreachable
from tailrace.client.demo_events import to_ndjson
from tailrace.client.demo_generator import DemoGenerator
from tailrace.client.generate_kafka import KafkaSender, is_kafka
from tailrace.client.latencies import Latencies
from tailrace.errors import RetryLater, SlowDown
from tailrace.model.batch import ARROW_STREAM, encode_batch
from tailrace.model.clock import system_clock_us

_NDJSON = "application/x-ndjson"
_RETRY_S = 1


@click.command()
@click.option(
    "--rate",
    metavar="RATE",
    type=options.rate,
    default="1000",
    show_default=True,
    help="Events a second: 500, 50k, 1.5M or max.",
)
@click.option(
    "--for",
    "duration_s",
    metavar="TIME",
    type=options.duration_s,
    help="How long: 30s, 10m, 2h.  [default: until Ctrl-C]",
)
@click.option(
    "--to",
    "--url",
    "url",
    envvar="TAILRACE_URL",
    show_envvar=True,
    default=DEFAULT_URL,
    show_default=True,
    help="The server, or kafka://HOST:PORT/TOPIC.",
)
@click.option(
    "--bursts/--no-bursts", default=True, show_default=True, help="Three times the rate for 3 s in every 30 s."
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed makes the same kind of events.")
@click.option(
    "--format",
    "body_format",
    type=click.Choice(["arrow", "ndjson"]),
    default="arrow",
    show_default=True,
    help="How the events are sent; into Kafka, ndjson is one JSON document a message.",
)
def generate(
    rate: options.Rate, duration_s: float | None, url: str, bursts: bool, seed: int, body_format: str
) -> None:
    """Send the events of a made-up web shop: twelve services, traces, errors, an incident every few minutes.

    RATE is the mean; with --bursts it swings around it. A server that is busy (429) or away (503, no connection) is
    tried again; nothing is left out until the generator is two seconds late, and what is left out is counted.

    \b
    Examples:
      tailrace generate                                a thousand events a second, until Ctrl-C
      tailrace generate --rate 50k --for 10m --no-bursts
      tailrace generate --rate max --for 30s           how much does the server take?
      tailrace generate --to kafka://localhost:9092/logs --format ndjson
    """
    stop = threading.Event()
    sender = KafkaSender(url, body_format) if is_kafka(url) else _Sender(url, body_format)
    sender.check()
    generator = DemoGenerator(sender.append, rate.per_s, system_clock_us, stop, seed=seed, bursts=bursts)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            generator.run()
        except BaseException as error:  # handed to the main thread, which raises it
            failures.append(error)
            stop.set()

    thread = threading.Thread(target=run, name="generate", daemon=True)
    started_s = time.monotonic()
    thread.start()
    try:
        whole = _watch(generator, stop, sys.stderr.isatty(), duration_s)
    finally:
        stop.set()
        thread.join()
    figures = generator.take_figures()
    whole.merge(figures.latencies)
    elapsed_s = time.monotonic() - started_s
    click.echo(
        f"{figures.events:,} events in {elapsed_s:.1f} s ({figures.events / elapsed_s:,.0f}/s) to {url}  "
        f"acknowledged in {whole.line(50, 99)}" + (f"  left out {figures.left_out:,}" if figures.left_out else "")
    )
    if failures:
        raise failures[0]


def _watch(generator: DemoGenerator, stop: threading.Event, verbose: bool, duration_s: float | None) -> Latencies:
    """Print a line each second until the time is over, Ctrl-C comes or the generator stops by itself."""
    whole = Latencies()
    end_s = math.inf if duration_s is None else time.monotonic() + duration_s
    last_s, last_events = time.monotonic(), 0
    try:
        while not stop.is_set() and (left_s := end_s - time.monotonic()) > 0:
            stop.wait(min(1.0, left_s))
            now_s = time.monotonic()
            figures = generator.take_figures()
            whole.merge(figures.latencies)
            if verbose and now_s - last_s > 0.5:
                rate = (figures.events - last_events) / (now_s - last_s)
                late = f"  left out {figures.left_out:,}" if figures.left_out else ""
                click.echo(
                    f"{rate:>12,.0f}/s {figures.events:>15,} events  {figures.latencies.line(50, 99)}{late}", err=True
                )
            last_s, last_events = now_s, figures.events
    except KeyboardInterrupt:
        click.echo("", err=True)
    return whole


class _Sender:
    """`append` of the generator, over HTTP; used by one thread at a time."""

    def __init__(self, url: str, body_format: str) -> None:
        self._connection = Connection(url)
        self._arrow = body_format == "arrow"

    def check(self) -> None:
        """Raises `Unreachable` when there is no server: better said at once than retried in silence."""
        try:
            self._connection.request("GET", "/healthz")
        except ServerError:
            return  # It answers; what to make of it the first append will show.

    def append(self, batch: pa.RecordBatch) -> None:
        body = encode_batch(batch) if self._arrow else to_ndjson(batch)
        headers = {"content-type": ARROW_STREAM if self._arrow else _NDJSON}
        try:
            self._connection.request("POST", "/logs", body=body, headers=headers)
        except Unreachable as error:
            raise RetryLater(error.message, retry_after_s=_RETRY_S) from error
        except ServerError as error:
            retry_after_s = _RETRY_S if error.retry_after_s is None else math.ceil(error.retry_after_s)
            if error.status == 429:
                raise SlowDown(error.message, retry_after_s=retry_after_s) from error
            if error.status in (502, 503, 504):
                raise RetryLater(error.message, retry_after_s=retry_after_s) from error
            raise
