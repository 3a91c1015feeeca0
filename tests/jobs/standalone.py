"""Spark's own cluster manager, a master and one worker, from the programs of the pyspark package."""

from __future__ import annotations

import importlib.util
import json
import os
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.process import HOST, Process, free_port

_PACKAGE = "org.apache.spark.deploy"


class _Daemon(Process):
    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "SPARK_HOME": spark_home(), "SPARK_DAEMON_MEMORY": "256m", "SPARK_LOCAL_IP": HOST}


class Master(_Daemon):
    """`url` is what `--master` takes."""

    name = "spark-master"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()
        self.page_port = free_port()

    @property
    def url(self) -> str:
        return f"spark://{HOST}:{self.port}"

    def command(self) -> Sequence[str]:
        ports = ["--port", str(self.port), "--webui-port", str(self.page_port)]
        return [f"{spark_home()}/bin/spark-class", f"{_PACKAGE}.master.Master", "--host", HOST, *ports]

    def is_ready(self) -> bool:
        return self.workers() is not None

    def workers(self) -> int | None:
        """How many have joined; None while the master does not answer."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.page_port}/json/", timeout=2) as answer:
                return int(json.load(answer)["aliveworkers"])
        except (OSError, ValueError):
            return None


class Worker(_Daemon):
    """Gives its two cores to the drivers that the master sends."""

    name = "spark-worker"

    def __init__(self, folder: Path, master: Master) -> None:
        super().__init__(folder)
        self._master = master

    def command(self) -> Sequence[str]:
        ours = ["--host", HOST, "--webui-port", str(free_port()), "--work-dir", str(self.folder / "work")]
        room = ["--cores", "2", "--memory", "1g"]
        return [f"{spark_home()}/bin/spark-class", f"{_PACKAGE}.worker.Worker", *ours, *room, self._master.url]

    def is_ready(self) -> bool:
        return self._master.workers() == 1


def spark_home() -> str:
    found = importlib.util.find_spec("pyspark")
    assert found is not None
    assert found.origin is not None
    return str(Path(found.origin).parent)
