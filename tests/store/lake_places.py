"""Where the tests put lakes: in a folder, on a real S3 server, on a real HDFS.

A place is a few plain values, so that the processes a test starts can be told of it on their command line.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pytest
from deploy.local.hdfs import Hdfs
from deploy.local.s3 import S3

from tailrace.store.lake.place import Place, open_place

KINDS = ("local", "s3", "hdfs")


@dataclass(frozen=True)
class Where:
    """`cache` is for a lake that is not in a folder."""

    url: str
    cache: str
    storage_options: dict[str, str] = field(default_factory=dict)
    cache_bytes_max: int = 1 << 30

    def open(self) -> Place:
        return open_place(
            self.url,
            storage_options=self.storage_options,
            cache=Path(self.cache),
            cache_bytes_max=self.cache_bytes_max,
        )

    def elsewhere(self, cache: Path, cache_bytes_max: int = 1 << 30) -> Where:
        """The same lake, seen from another machine."""
        return replace(self, cache=str(cache), cache_bytes_max=cache_bytes_max)

    def as_argument(self) -> str:
        return json.dumps(asdict(self))


def from_argument(text: str) -> Where:
    return Where(**json.loads(text))


def on_s3(s3: S3, cache: Path, bucket: str = "lakes") -> Where:
    """A new lake."""
    return Where(f"{s3.make_bucket(bucket)}/{uuid.uuid4().hex}/lake", str(cache), s3.storage_options)


def on_hdfs(hdfs: Hdfs, cache: Path) -> Where:
    """A new lake."""
    return Where(f"{hdfs.url}/lakes/{uuid.uuid4().hex}", str(cache))


def new_lake(kind: str, request: pytest.FixtureRequest, folder: Path) -> Where:
    """A new lake of one of KINDS; its server is started when it is the first to need it."""
    if kind == "local":
        return Where(str(folder / "lake"), str(folder / "cache"))
    server = request.getfixturevalue(kind)
    return on_s3(server, folder / "cache") if kind == "s3" else on_hdfs(server, folder / "cache")


def far_param(value: str) -> object:
    """A value of `parametrize` that needs a server: that is slow, and such tests of one run are run together."""
    return pytest.param(value, marks=[pytest.mark.slow, pytest.mark.xdist_group("lake")])


FAR = [far_param(kind) for kind in KINDS if kind != "local"]
EVERYWHERE = ["local", *FAR]
