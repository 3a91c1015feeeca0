from __future__ import annotations

import json
from pathlib import Path

import pytest

from tailrace.client.shipper.names import Container, container_of

ID = "0123456789ab" + "cd" * 26


@pytest.mark.parametrize(
    ("path", "service", "attributes"),
    [
        (
            "/var/log/pods/kube-system_kube-proxy-x7k2p_5b1c-9/kube-proxy/3.log",
            "kube-proxy",
            {"namespace": "kube-system", "pod": "kube-proxy-x7k2p", "pod_uid": "5b1c-9", "container": "kube-proxy"},
        ),
        (
            "/var/log/pods/a_b.c_d/e/0.log.20260328-101112",
            "e",
            {"namespace": "a", "pod": "b.c", "pod_uid": "d", "container": "e"},
        ),
        (
            f"/var/log/containers/cart-5d9c_shop_cart-v-1-{ID}.log",
            "cart-v-1",
            {"namespace": "shop", "pod": "cart-5d9c", "container": "cart-v-1", "id": ID},
        ),
        (f"/var/lib/docker/containers/{ID}/{ID}-json.log", None, {"id": ID}),
        (f"/var/lib/docker/containers/{ID}/{ID}-json.log.1", None, {"id": ID}),
    ],
)
def test_names_of_container_files_tell_the_container(
    path: str, service: str | None, attributes: dict[str, str]
) -> None:
    """Kubelet's, the links to them, and Docker's; also those that were rotated."""
    expected = {f"kubernetes.{name}": value for name, value in attributes.items() if name != "id"}
    if "id" in attributes:
        expected["container.id"] = attributes["id"]
    assert container_of([Path(path)]) == Container(service, expected)


@pytest.mark.parametrize("path", ["/var/log/syslog", "/var/log/app_one_two.log", "/x/y/0.log", f"/x/{ID}-json.log"])
def test_other_names_tell_nothing(path: str) -> None:
    """Underscores alone make no container."""
    assert container_of([Path(path)]) is None


def test_a_link_and_its_file_tell_together() -> None:
    """The link names the container's id, the file the pod's."""
    link = Path(f"/var/log/containers/web_shop_nginx-{ID}.log")
    file = Path("/var/log/pods/shop_web_77-88/nginx/0.log")
    found = container_of([link, file])
    assert found is not None
    assert found.attributes["container.id"] == ID
    assert found.attributes["kubernetes.pod_uid"] == "77-88"


@pytest.mark.parametrize(
    ("labels", "service"),
    [
        ({}, "shop-cart-1"),
        ({"com.docker.compose.service": "cart"}, "cart"),
        ({"app": "the-cart", "com.docker.compose.service": "cart"}, "the-cart"),
    ],
)
def test_dockers_own_file_names_the_container(labels: dict[str, str], service: str, tmp_path: Path) -> None:
    """Its name and image; the service is a label's where there is one."""
    folder = tmp_path / ID
    folder.mkdir()
    config = {"Name": "/shop-cart-1", "Config": {"Image": "shop/cart:7", "Labels": labels}}
    (folder / "config.v2.json").write_text(json.dumps(config))
    found = container_of([folder / f"{ID}-json.log"])
    assert found is not None
    assert found.service == service
    assert found.attributes == {"container.name": "shop-cart-1", "container.image": "shop/cart:7", "container.id": ID}


def test_without_dockers_file_the_link_names_the_service() -> None:
    """Where Kubernetes runs Docker, and its folder is not to be read."""
    paths = (f"/var/log/containers/web_shop_nginx-{ID}.log", f"/var/lib/docker/containers/{ID}/{ID}-json.log")
    found = container_of(map(Path, paths))
    assert found is not None
    assert found.service == "nginx"


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"Config": 7}', b'{"Config": {"Labels": []}}'])
def test_a_strange_file_of_dockers_is_done_without(content: bytes, tmp_path: Path) -> None:
    """Damaged, or of another form than it is known for."""
    folder = tmp_path / ID
    folder.mkdir()
    (folder / "config.v2.json").write_bytes(content)
    assert container_of([folder / f"{ID}-json.log"]) == Container(None, {"container.id": ID})
