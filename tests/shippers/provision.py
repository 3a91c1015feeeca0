"""`python -m tests.shippers.provision`: the clients of other projects that the tests send logs with.

As root on a Debian system what is missing is installed; elsewhere it is named, and its tests are skipped. With CI in
the environment what is missing is an error.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.local.provision import apt_get, install

from node_finder import BuildError, fetch_node, find_node

ROOT = Path(__file__).resolve().parents[2]
NPM = Path(__file__).parent / "npm"
SERVERS = ROOT / ".servers"

PACKAGES = {
    "rsyslogd": "rsyslog",
    "/usr/lib/*/rsyslog/omelasticsearch.so": "rsyslog-elasticsearch",
    "/usr/lib/*/rsyslog/omkafka.so": "rsyslog-kafka",
    "/usr/lib/*/rsyslog/lmnsd_gtls.so": "rsyslog-gnutls",
    "logger": "bsdutils",
    "kcat": "kcat",
    "openssl": "openssl",
    "/lib/systemd/systemd-journal-upload": "systemd-journal-remote",
    # What syslog-ng is linked with; Debian does not install it beside rsyslog, so it is unpacked below.
    "/usr/lib/*/libivykis.so.0": "libivykis0",
    "/usr/lib/*/libnet.so.1": "libnet1",
    "/usr/lib/*/libjson-c.so.5": "libjson-c5",
    "/usr/lib/*/libwrap.so.0": "libwrap0",
    "/usr/lib/*/libpcre.so.3": "libpcre3",
}

SYSLOG_NG = SERVERS / "syslog-ng"
"""Unpacked there: `usr/sbin/syslog-ng`."""

ELASTICSEARCH_8 = SERVERS / "elasticsearch-py-8"
"""A folder for PYTHONPATH: the client of the major version before the one that is installed."""


def main() -> int:
    problems = install(PACKAGES)
    for step in (_unpack_syslog_ng, _install_npm, _install_elasticsearch_8):
        try:
            step()
        except (subprocess.CalledProcessError, OSError, BuildError) as error:
            output = getattr(error, "stderr", None) or ""
            problems.append(f"{step.__name__.lstrip('_').replace('_', ' ')}: {error}\n{output}")
    for problem in problems:
        print(f"shippers: {problem}", file=sys.stderr)
    return 1 if problems and os.environ.get("CI") else 0


def _unpack_syslog_ng() -> None:
    if (SYSLOG_NG / "usr" / "sbin" / "syslog-ng").exists() or shutil.which("apt-get") is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        # Readable by the user that apt downloads as.
        Path(folder).chmod(0o755)
        download = ("download", "-qq", "syslog-ng-core", "syslog-ng-mod-http")
        # On a machine that has everything else nobody has asked what there is yet.
        if not apt_get(*download, folder=Path(folder)) and os.geteuid() == 0 and apt_get("update", "-qq"):
            apt_get(*download, folder=Path(folder))
        for package in glob.glob(f"{folder}/*.deb"):
            _run("dpkg", "-x", package, str(SYSLOG_NG))
    if not (SYSLOG_NG / "usr" / "sbin" / "syslog-ng").exists():
        raise OSError("syslog-ng cannot be had from apt")


def _install_npm() -> None:
    installed = NPM / "node_modules" / ".installed"
    wanted = (NPM / "package-lock.json").read_bytes()
    if installed.is_file() and installed.read_bytes() == wanted:
        return
    node = find_node() or fetch_node()
    _run(*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=str(NPM), env=dict(node.environment()))
    installed.write_bytes(wanted)


def _install_elasticsearch_8() -> None:
    if ELASTICSEARCH_8.is_dir():
        return
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target"]
    _run(*pip, str(ELASTICSEARCH_8), "elasticsearch>=8.19,<9")


def _run(*command: str, cwd: str | None = None, env: dict[str, str] | None = None) -> None:
    subprocess.run(command, cwd=cwd, env=env, check=True, capture_output=True, text=True)


if __name__ == "__main__":
    sys.exit(main())
