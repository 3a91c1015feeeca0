"""The Spark session of a job: found, started and stopped, with errors that say what to install."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tailrace.errors import Stop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# The last line of a Python traceback.
_RAISED = re.compile(r"(?:[A-Za-z_]\w*\.)*([A-Z]\w*): (.+)")

_JAVA_OPTIONS = "spark.driver.extraJavaOptions"
# What goes wrong is in the errors of a job's calls, in one line. Of the rest one thing must be heard: that a cluster
# has no room for the job.
_LOGGING = """\
rootLogger.level = off
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = Spark: %m%n
logger.scheduler.name = org.apache.spark.scheduler.TaskSchedulerImpl
logger.scheduler.level = warn
logger.standalone.name = org.apache.spark.deploy.client.StandaloneAppClient$ClientEndpoint
logger.standalone.level = warn
"""

JAVA_MIN = 17
"""What Spark 4 asks for."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where a job runs. `master` is Spark's: `local[2]`, `spark://HOST:PORT`, `yarn`, `k8s://…`.

    `jars` are files, or folders of them. `properties` are Spark's own, and win over ours.
    """

    master: str = "local[2]"
    jars: Sequence[Path] = ()
    properties: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def session(cluster: Cluster, name: str) -> Iterator[SparkSession]:
    """A session of its own, until it is left. Raises `Stop` for what is missing on this machine."""
    need_pyspark()
    need_java()
    properties = {
        "spark.app.name": name,
        "spark.master": cluster.master,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # A job holds its times in UTC, wherever it runs.
        "spark.sql.session.timeZone": "UTC",
        **cluster.properties,
    }
    jars = _jars(cluster.jars)
    if jars:
        properties["spark.jars"] = ",".join(map(str, jars))
    from py4j.protocol import Py4JError
    from pyspark import SparkConf
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    # The executors need the packages of this environment; where they have them elsewhere, the environment says so.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    with tempfile.TemporaryDirectory(prefix="tailrace-spark-log-") as folder:
        logging = Path(folder, "log4j2.properties")
        logging.write_text(_LOGGING)
        options = f"-Dlog4j2.configurationFile={logging} {properties.get(_JAVA_OPTIONS, '')}"
        try:
            conf = SparkConf().setAll([*properties.items(), (_JAVA_OPTIONS, options.strip())])
            spark = SparkSession.builder.config(conf=conf).getOrCreate()
        except (PySparkException, Py4JError, OSError) as error:
            raise Stop(f"Spark at {cluster.master}: no session: {reason_of(error)}") from error
        try:
            yield spark
        finally:
            spark.stop()


def need_pyspark() -> None:
    """Raises `Stop` with the command that installs it."""
    missing = [name for name in ("pyspark", "pandas") if importlib.util.find_spec(name) is None]
    if missing:
        raise Stop(f"{' and '.join(missing)} is not installed here: pip install 'tailrace[spark]'")


def need_java() -> None:
    """Raises `Stop` when there is no Java, or an older one than Spark asks for."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    hint = f"Spark runs on Java {JAVA_MIN} or newer (Debian: apt-get install default-jre-headless)"
    if java is None:
        raise Stop(f"java is not on the PATH, and JAVA_HOME is not set: {hint}")
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    except OSError as error:
        raise Stop(f"{java}: cannot be run: {error.strerror}; {hint}") from error
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found[1]) < JAVA_MIN:
        raise Stop(f"{java} is not Java {JAVA_MIN}: {hint}. It says: {said.strip()}")


def _jars(places: Sequence[Path]) -> list[Path]:
    jars: list[Path] = []
    for place in places:
        found = sorted(place.glob("*.jar")) if place.is_dir() else [place] if place.is_file() else []
        if not found:
            raise Stop(f"--jars {place}: there is no jar here")
        jars += [jar.absolute() for jar in found]
    return jars


def reason_of(error: Exception) -> str:
    """The cause in one line: Spark wraps what a Python worker says in pages of traces."""
    text = str(error).partition("JVM stacktrace")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if "Traceback" not in text:
        return lines[0] if lines else type(error).__name__
    raised = [found for line in lines if (found := _RAISED.fullmatch(line))]
    return f"{raised[-1][1]}: {raised[-1][2]}" if raised else lines[-1]
