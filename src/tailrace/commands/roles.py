"""`tailrace gateway`, `tailrace worker`, `tailrace api`: one role a process, as many of each as wanted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import click

from tailrace.commands.serving import serve
from tailrace.commands.settings_options import settings_options
from tailrace.config_load import LoadedSettings
from tailrace.kernels import warm_up
from tailrace.model.clock import system_clock_us
from tailrace.wiring.roles import Role, api_role, gateway_role, worker_role


@click.command()
@settings_options
def gateway(loaded: LoadedSettings) -> None:
    """Take events in: POST /logs, answered once Kafka has them on every in-sync replica.

    Needs log.url = kafka://HOST:PORT/TOPIC. It keeps nothing itself, so any number of gateways can stand behind one
    address.

    \b
    Example:
      tailrace gateway --listen 0.0.0.0:8080 --set log.url=kafka://kafka:9092/logs
    """
    serve(loaded.settings, gateway_role(loaded.settings, clock=system_clock_us), _begun(loaded, "gateway"))


@click.command()
@settings_options
def worker(loaded: LoadedSettings) -> None:
    """Take events from Kafka into Redis and into every store; each store goes on at its own pace.

    Needs log.url = kafka://… and hot.url = redis://…. Workers share the topic's partitions; when one ends, the others
    take over what was its own.

    \b
    Example:
      tailrace worker --listen 0.0.0.0:8082 --set log.url=kafka://kafka:9092/logs \\
        --set hot.url=redis://redis:6379/0 --store s3://bucket/lake --store elasticsearch://search:9200/logs
    """
    serve(loaded.settings, worker_role(loaded.settings, clock=system_clock_us), _begun(loaded, "worker"))


@click.command()
@settings_options
def api(loaded: LoadedSettings) -> None:
    """Answer queries over Redis and the first store that can search.

    Needs log.url = kafka://… and hot.url = redis://…, and the same stores as the workers.

    \b
    Example:
      tailrace api --listen 0.0.0.0:8001 --set log.url=kafka://kafka:9092/logs \\
        --set hot.url=redis://redis:6379/0 --store s3://bucket/lake
    """
    serve(loaded.settings, api_role(loaded.settings, clock=system_clock_us), _begun(loaded, "api"))


def _begun(loaded: LoadedSettings, role: str) -> Callable[[Role, contextlib.ExitStack], None]:
    def begun(_: Role, __: contextlib.ExitStack) -> None:
        warm_up()
        click.echo(f"the {role} is running on http://{loaded.settings.listen}   (/readyz says whether all is well)")

    return begun
