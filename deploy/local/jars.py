"""The jars of the Java servers: copied by Maven from `poms/NAME/pom.xml` once, into the servers' folder.

A finished folder is `NAME-HASH`, hash over the pom and the Java source it goes with, so that a changed pom is fetched
anew and a half-finished download is never used. Processes that want jars at the same time wait for one (flock).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.local.process import Missing, StartFailed

HERE = Path(__file__).parent
NAMES = ("kafka", "elasticsearch", "opensearch", "hdfs", "spark")
MAINS = {"elasticsearch": "ElasticsearchNode", "opensearch": "OpenSearchNode"}
"""The servers whose own main is not among their artifacts: the class in `java/` that takes its place."""
JAVA_MIN = 17
DOWNLOAD_TIMEOUT_S = 900.0


def servers_folder() -> Path:
    """Where downloads are kept: TAILRACE_SERVERS, or `.servers` beside `deploy`."""
    return Path(os.environ.get("TAILRACE_SERVERS") or HERE.parents[1] / ".servers").absolute()


def java() -> str:
    """The path of a Java that is new enough; raises Missing."""
    path = shutil.which("java")
    hint = f"install a JDK {JAVA_MIN} or newer (Debian: apt-get install default-jdk-headless)"
    if path is None:
        raise Missing(f"java is not on the PATH: {hint}")
    said = subprocess.run([path, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found[1]) < JAVA_MIN:
        raise Missing(f"{path} is not Java {JAVA_MIN}: {hint}. It says: {said.strip()}")
    return path


def classpath(name: str) -> str:
    """What java's -cp takes, fetched on the first call; raises Missing or StartFailed."""
    return f"{jars_folder(name)}/*"


def spark() -> list[Path]:
    """The jars a Spark session needs for Kafka and Delta (`spark.jars`)."""
    return sorted(jars_folder("spark").glob("*.jar"))


def jars_folder(name: str) -> Path:
    """The folder with the jars of `name`, one of NAMES; fetched on the first call."""
    folder = _finished(name)
    if not folder.is_dir():
        fetch([name])
    return folder


def fetch(names: Sequence[str]) -> list[str]:
    """Fetches those of `names` that are not here yet, side by side; returns which these were."""
    servers_folder().mkdir(parents=True, exist_ok=True)
    with locked("jars"):
        wanted = [name for name in names if not _finished(name).is_dir()]
        if wanted:
            partial = servers_folder() / "partial"
            shutil.rmtree(partial, ignore_errors=True)
            _copy_dependencies(wanted, partial)
            for name in wanted:
                if name in MAINS:
                    _compile(MAINS[name], partial / name)
                (partial / name).rename(_finished(name))
            shutil.rmtree(partial)
        return wanted


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time, across processes."""
    with (servers_folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _finished(name: str) -> Path:
    content = (HERE / "poms" / name / "pom.xml").read_bytes()
    if name in MAINS:
        content += _source(MAINS[name]).read_bytes()
    return servers_folder() / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"


def _source(main: str) -> Path:
    return HERE / "java" / f"{main}.java"


def _copy_dependencies(names: Sequence[str], folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise Missing(
            f"mvn is not on the PATH, and fetches {', '.join(names)}: install Maven (apt-get install maven)"
        )
    java()
    command = [maven, "-B", "-q", "-T", "3", "-f", str(HERE / "poms" / "pom.xml"), "-pl", ",".join(names)]
    command += ["dependency:copy-dependencies", "-DincludeScope=runtime"]
    # Maven itself puts each module's name in.
    command += [f"-DoutputDirectory={folder}/${{project.artifactId}}"]
    _run(command, f"fetching {', '.join(names)}")


def _compile(main: str, folder: Path) -> None:
    compiler = shutil.which("javac")
    if compiler is None:
        raise Missing("javac is not on the PATH: install a JDK, not only a JRE (Debian: default-jdk-headless)")
    classes = folder / "classes"
    _run([compiler, "-nowarn", "-cp", f"{folder}/*", "-d", str(classes), str(_source(main))], f"compiling {main}")
    # A jar, so that one wildcard names the whole class path.
    _run(["jar", "--create", "--file", str(folder / f"{main}.jar"), "-C", str(classes), "."], f"packing {main}")


def _run(command: list[str], doing: str) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False
    )
    if done.returncode:
        raise StartFailed(f"{doing} failed with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")
