"""The files of deploy/: valid by their schemas, and in the words of this version."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tailrace.config import Settings
from tailrace.config_load import load_settings
from tailrace.ops.metrics import Metrics
from tailrace.wiring.stores import targets

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy/compose/docker-compose.yml"
KUBERNETES = ROOT / "deploy/kubernetes"
MANIFESTS = sorted(path for path in KUBERNETES.glob("*.yaml") if path.name != "kustomization.yaml")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    binaries = Path(sys.executable).parent
    return subprocess.run([str(binaries / command[0]), *command[1:]], capture_output=True, text=True, check=False)


def compose() -> Any:
    return yaml.safe_load(COMPOSE.read_text())


def manifests() -> Iterator[Any]:
    for path in MANIFESTS:
        yield from yaml.safe_load_all(path.read_text())


def test_the_compose_file_is_valid_by_the_compose_specification() -> None:
    """By its published JSON schema; a file with an unknown key is refused by the same call."""
    done = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE))
    assert done.returncode == 0, done.stdout


def test_a_wrong_compose_file_is_found(tmp_path: Path) -> None:
    """So the check above can fail."""
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(COMPOSE.read_text().replace("    ports: [", "    porst: [", 1))
    assert run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(wrong)).returncode != 0


def test_every_service_of_the_compose_file_is_bounded_and_waits_for_what_it_needs() -> None:
    """Memory and processor limits everywhere; roles start after the health checks of their servers."""
    services = compose()["services"]
    for name, service in services.items():
        limits = service["deploy"]["resources"]["limits"]
        assert {"cpus", "memory"} <= limits.keys(), name
        needed = service.get("depends_on", {})
        for other in needed if isinstance(needed, dict) else []:
            is_ours = services[other].get("image") == "tailrace"
            assert is_ours or "healthcheck" in services[other], f"{name} waits for the health of {other}"
    assert {"kafka", "redis", "elasticsearch"} == services["worker"]["depends_on"].keys()


@pytest.mark.slow
def test_the_commands_of_the_compose_file_are_commands() -> None:
    """Each role's command and options are known to this version."""
    for name in ("gateway", "worker", "api", "generator"):
        command = compose()["services"][name]["command"]
        known = run("tailrace", command[0], "--help").stdout
        for option in (part for part in command if part.startswith("--")):
            assert option in known, f"{name}: {option}"


def environments() -> Iterator[tuple[str, dict[str, str]]]:
    for name in ("worker", "gateway"):
        yield name, {name: str(value) for name, value in compose()["services"][name]["environment"].items()}
    [settings] = [each for each in manifests() if each["kind"] == "ConfigMap"]
    yield "kubernetes", settings["data"]


@pytest.mark.parametrize(("where", "environment"), list(environments()), ids=lambda value: str(value)[:10])
def test_the_settings_given_to_containers_are_settings(where: str, environment: dict[str, str]) -> None:
    """Names, values and store URLs are accepted by the program that will read them."""
    plain = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for name, value in environment.items()}
    settings: Settings = load_settings(None, plain, {}).settings
    assert len(targets(settings)) == len(json.loads(plain["TAILRACE_STORES"]))


def test_the_manifests_are_valid_by_the_schemas_of_kubernetes() -> None:
    """Strictly: an unknown field is an error."""
    done = run("kubernetes-validate", "--strict", *map(str, MANIFESTS))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_kustomization_names_every_manifest_and_no_other() -> None:
    """What is not named would not be applied."""
    named = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    assert sorted(named) == [path.name for path in MANIFESTS]


def test_each_role_has_probes_limits_a_disruption_budget_and_a_scaler() -> None:
    """Under the role's own name, and with the role as the container's command; no container runs as root."""
    kinds: dict[str, set[str]] = {}
    for each in manifests():
        kinds.setdefault(each["metadata"]["name"], set()).add(each["kind"])
        if each["kind"] == "Deployment":
            pod = each["spec"]["template"]["spec"]
            [container] = pod["containers"]
            assert container["args"] == [each["metadata"]["name"]]
            assert {"startupProbe", "livenessProbe", "readinessProbe", "resources"} <= container.keys()
            assert pod["securityContext"]["runAsNonRoot"] is True
    for role in ("gateway", "worker", "api"):
        assert {"Deployment", "PodDisruptionBudget", "HorizontalPodAutoscaler"} <= kinds[role]


_SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}


def metric_names() -> set[str]:
    """As Prometheus sees them."""
    families = Metrics().registry.collect()
    return {family.name + suffix for family in families for suffix in _SUFFIXES.get(family.type, [""])}


@pytest.mark.parametrize(
    "file", ["grafana/dashboards/tailrace.json", "prometheus/alerts.yml", "kubernetes/worker.yaml"]
)
def test_panels_alerts_and_scalers_ask_for_metrics_that_exist(file: str) -> None:
    """A renamed metric would leave an empty panel, and an alert that never comes."""
    asked = set(re.findall(r"\btailrace_\w+", (ROOT / "deploy" / file).read_text()))
    assert asked
    assert asked <= metric_names()


def test_the_image_copies_what_is_there() -> None:
    """Each source of a COPY is in the repository and is not left out by .dockerignore."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in (ROOT / "deploy/Dockerfile").read_text().splitlines():
        if line.startswith("COPY") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists()
                assert source.split("/")[0] in allowed
