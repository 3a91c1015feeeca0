"""The DaemonSet and the compose service that run `tailrace send --follow`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tailrace.client.send import send

ROOT = Path(__file__).parents[2]


def agent() -> Any:
    return yaml.safe_load((ROOT / "deploy/kubernetes/agent.yaml").read_text())


def compose_block() -> str:
    page = (ROOT / "docs/ingest/containers.md").read_text()
    [block] = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return str(block)


@pytest.mark.parametrize("where", ["kubernetes", "compose"])
def test_what_the_agents_are_told_is_understood(where: str) -> None:
    """Each option is one of this version, and the files come last."""
    if where == "kubernetes":
        [container] = agent()["spec"]["template"]["spec"]["containers"]
        arguments = container["args"]
    else:
        arguments = yaml.safe_load(compose_block())["services"]["agent"]["command"]
    context = send.make_context(arguments[0], arguments[1:])
    assert context.params["follow"] is True
    assert len(context.params["files"]) == 1
    assert context.params["positions"] is not None


def test_the_agent_of_kubernetes_may_read_logs_and_nothing_else() -> None:
    """No capability, no writing but of its positions, no token; on every node, and never of unbounded memory."""
    pod = agent()["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert "memory" in container["resources"]["limits"]
    writable = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["/var/lib/tailrace-agent", "/tmp"]
    assert f"--positions={writable[0]}/positions" in container["args"]
    [node] = container["env"]
    assert node == {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}


def test_the_service_of_the_page_is_valid_by_the_compose_specification(tmp_path: Path) -> None:
    """And asks for the settings' image; a wrong key in it is found."""
    tool = str(Path(sys.executable).parent / "check-jsonschema")
    for text, status in ((compose_block(), 0), (compose_block().replace("restart:", "restrat:"), 1)):
        file = tmp_path / "docker-compose.yml"
        file.write_text(text)
        done = subprocess.run([tool, "--builtin-schema", "vendor.compose-spec", str(file)], capture_output=True)
        assert done.returncode == status, done.stdout
