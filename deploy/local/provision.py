"""`python -m deploy.local.provision`: what the tests need of real servers and a real browser, put on this machine.

As root on a Debian system missing programs are installed; elsewhere they are named, and their tests are skipped. With
CI in the environment what is missing is an error.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from deploy.local import jars, kafka
from deploy.local.process import Missing, StartFailed

# Servers lie in folders that are only on root's PATH.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])

PACKAGES = {
    "javac": "default-jdk-headless",
    "mvn": "maven",
    "redis-server": "redis-server",
    "chromium": "chromium",
}
"""Program and the Debian package that has it."""


def main() -> int:
    problems = install(PACKAGES)
    try:
        jars.java()
        fetch()
    except (Missing, StartFailed) as e:
        problems.append(str(e))
    for problem in problems:
        print(f"servers: {problem}", file=sys.stderr)
    return 1 if problems and os.environ.get("CI") else 0


def install(packages: Mapping[str, str]) -> list[str]:
    """Installs what is not there: a program on the PATH, or a file by its pattern. Returns what is still missing."""
    wanted = [package for name, package in packages.items() if not is_there(name)]
    if wanted and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"servers: installing {', '.join(wanted)}", flush=True)
        apt_get("update", "-qq")
        if not apt_get("install", "-y", "-qq", "--no-install-recommends", *wanted):
            # One that this release does not have keeps none of the others away.
            for package in wanted:
                apt_get("install", "-y", "-qq", "--no-install-recommends", package)
    return missing(packages)


def apt_get(*arguments: str, folder: Path | None = None) -> bool:
    """Whether it did; what went wrong is said."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"servers: {' '.join(command)} failed:\n{done.stdout}{done.stderr}", file=sys.stderr)
    return done.returncode == 0


def missing(packages: Mapping[str, str]) -> list[str]:
    """A sentence for each that is not there."""
    return [
        f"{name} is not here (Debian: apt-get install {package})"
        for name, package in packages.items()
        if not is_there(name)
    ]


def is_there(name: str) -> bool:
    return bool(glob.glob(name)) if name.startswith("/") else shutil.which(name, path=_PATH) is not None


def fetch() -> None:
    """The jars of every Java server, and Kafka's class archive."""
    started = time.monotonic()
    if fetched := jars.fetch(jars.NAMES):
        print(f"servers: fetched {', '.join(fetched)} in {time.monotonic() - started:.0f} s", flush=True)
    with jars.locked("archive"):
        if not kafka.class_archive().exists():
            started = time.monotonic()
            kafka.make_class_archive()
            print(f"servers: made kafka's class archive in {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
