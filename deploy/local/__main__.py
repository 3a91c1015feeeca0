"""`python -m deploy.local`: the whole of the Compose file on this machine, until Ctrl-C."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import click

from deploy.local import jars
from deploy.local.cluster import SEARCH_SERVERS, Cluster
from deploy.local.process import Missing, Process, StartFailed
from deploy.local.role import Role

LOOK_INTERVAL_S = 1.0


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), help="Where its files are.  [default: .servers/cluster]")
@click.option("--workers", default=3, show_default=True)
@click.option("--gateways", type=click.IntRange(1), default=2, show_default=True)
@click.option("--apis", type=click.IntRange(1), default=2, show_default=True)
@click.option("--gateway-port", default=8080, show_default=True, help="Of the first gateway; others have free ones.")
@click.option("--api-port", default=8001, show_default=True, help="Of the first api; others have free ones.")
@click.option("--search", type=click.Choice(list(SEARCH_SERVERS)), default="elasticsearch", show_default=True)
@click.option("--rate", default=1000, show_default=True, help="Made-up events a second; 0: none.")
@click.option("--set", "assignments", metavar="NAME=VALUE", multiple=True, help="A setting of every role.")
def main(
    folder: Path | None,
    workers: int,
    gateways: int,
    apis: int,
    gateway_port: int,
    api_port: int,
    search: str,
    rate: int,
    assignments: tuple[str, ...],
) -> None:
    """Start Kafka, Redis, Elasticsearch and every role of Tailrace here, and stop them at Ctrl-C.

    Data is kept in the folder, and found again at the next start.
    """
    # As Ctrl-C, so that everything is stopped in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cluster = Cluster(
        folder or jars.servers_folder() / "cluster",
        workers=workers,
        gateways=gateways,
        apis=apis,
        gateway_port=gateway_port,
        api_port=api_port,
        rate=rate or None,
        settings=dict(assignment.split("=", 1) for assignment in assignments),
        search=SEARCH_SERVERS[search],
        long_lived=True,
    )
    started = time.monotonic()
    click.echo("starting Kafka, Redis, the search server and the roles (about half a minute on two cores)")
    try:
        with cluster:
            click.echo(f"ready after {time.monotonic() - started:.0f} s\n\n{table(cluster)}\n\n{hints(cluster)}\n")
            follow(cluster)
    except KeyboardInterrupt:
        click.echo("stopped")
    except (Missing, StartFailed) as e:
        click.echo(str(e), err=True)
        sys.exit(1)


def table(cluster: Cluster) -> str:
    """What runs where, a line for each process."""
    rows = [("process", "pid", "address", "output")]
    rows += [
        (process.name, str(process.pid), address(process), str(process.output)) for process in cluster.processes()
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join("  ".join([*(row[i].ljust(widths[i]) for i in range(3)), row[3]]) for row in rows)


def address(process: Process) -> str:
    return process.url if isinstance(process, Role) else str(getattr(process, "address", ""))


def hints(cluster: Cluster) -> str:
    gateway, api = cluster.gateways[0].url, cluster.apis[0].url
    return f"""\
  curl -d '{{"level":"ERROR","service":"auth","message":"Something failed"}}' {gateway}/logs
  curl '{api}/logs?level=ERROR&limit=5'
  curl '{cluster.search.url}/logs*/_count'
  tail -f {cluster.folder}/logs/logs.txt

Ctrl-C stops everything; the data stays in {cluster.folder}"""


def follow(cluster: Cluster) -> None:
    """Tells of each process that ends, until Ctrl-C."""
    ended: set[str] = set()
    while True:
        for process in cluster.processes():
            if not process.running and process.name not in ended:
                ended.add(process.name)
                click.echo(f"{process.name} ended with {process.exit_code}; the end of {process.output}:", err=True)
                click.echo(process.said()[-1000:], err=True)
        time.sleep(LOOK_INTERVAL_S)


if __name__ == "__main__":
    main()
