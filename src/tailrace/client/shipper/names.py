"""What the names of container log files tell of the container.

    /var/log/pods/NAMESPACE_POD_UID/CONTAINER/N.log           kubelet
    /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log        links to the above
    /var/lib/docker/containers/ID/ID-json.log                 Docker, with config.v2.json beside it

Kubernetes' names may hold letters, digits, `-` and `.`, and never `_`, which parts them (RFC 1123's labels).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tailrace.client.shipper.finding import text_of

_POD = re.compile(r"/(?P<namespace>[^/_]+)_(?P<pod>[^/_]+)_(?P<pod_uid>[^/_]+)/(?P<container>[^/_]+)/\d+\.log[^/]*$")
_CONTAINER = re.compile(
    r"/(?P<pod>[^/_]+)_(?P<namespace>[^/_]+)_(?P<container>[^/_]+)-(?P<id>[0-9a-f]{12,64})\.log[^/]*$"
)
_DOCKER = re.compile(r"/(?P<id>[0-9a-f]{12,64})/(?P=id)-json\.log[^/]*$")

_CONFIG_BYTES_MAX = 4 << 20

# Who is behind a container, the best name first.
_SERVICE_LABELS = ("app.kubernetes.io/name", "app", "com.docker.compose.service", "io.kubernetes.container.name")
_KUBERNETES_LABELS = {
    "kubernetes.namespace": "io.kubernetes.pod.namespace",
    "kubernetes.pod": "io.kubernetes.pod.name",
    "kubernetes.pod_uid": "io.kubernetes.pod.uid",
    "kubernetes.container": "io.kubernetes.container.name",
}


@dataclass(frozen=True, slots=True)
class Container:
    """`service` None: not known. `attributes` are those of its events."""

    service: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)


def container_of(paths: Iterable[Path]) -> Container | None:
    """What a file's names tell: the one it was found by and, behind links, its own. None: no container's file."""
    service: str | None = None
    attributes: dict[str, str] = {}
    for path in paths:
        text = text_of(path)
        if found := _POD.search(text) or _CONTAINER.search(text):
            parts = found.groupdict()
            container_id = parts.pop("id", None)
            attributes |= {f"kubernetes.{name}": value for name, value in parts.items()}
            service = service or parts["container"]
        elif found := _DOCKER.search(text):
            container_id = found["id"]
            told_service, told = _docker_config(path.parent / "config.v2.json")
            service = told_service or service
            attributes |= told
        else:
            continue
        if container_id:
            attributes["container.id"] = container_id
    return Container(service, attributes) if attributes else None


def _docker_config(path: Path) -> tuple[str | None, dict[str, str]]:
    """Docker's own file of the container, where it can be read."""
    config: Any = None
    with contextlib.suppress(OSError, ValueError), path.open("rb") as file:
        config = orjson.loads(file.read(_CONFIG_BYTES_MAX))
    if not isinstance(config, dict):
        return None, {}
    inner = config.get("Config")
    labels = inner.get("Labels") if isinstance(inner, dict) else None
    labels = {name: value for name, value in labels.items() if value} if isinstance(labels, dict) else {}
    name = str(config.get("Name") or "").removeprefix("/")
    attributes = {"container.name": name} if name else {}
    if isinstance(inner, dict) and inner.get("Image"):
        attributes["container.image"] = str(inner["Image"])
    attributes |= {key: str(labels[label]) for key, label in _KUBERNETES_LABELS.items() if label in labels}
    service = next((str(labels[label]) for label in _SERVICE_LABELS if label in labels), name)
    return service or None, attributes
