"""The build of the dashboard: with which Node, when it is made anew, and that every wheel carries it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import api_types
from node_finder import DASHBOARD, find_node, is_new_enough
from page_build import build_page, checksum, has_dependencies

ROOT = DASHBOARD.parent


@pytest.mark.parametrize(
    ("version", "enough"),
    [
        ("v20.19.0\n", True),
        ("v20.18.3\n", False),
        ("v21.7.0", False),
        ("v22.11.0", False),
        ("v22.12.0", True),
        ("v24.19.0", True),
        ("v18.20.0", False),
        ("", False),
        ("v22", False),
    ],
)
def test_a_node_that_is_too_old_is_not_used(version: str, enough: bool) -> None:
    """The tools of the build run on these versions; with another one they fail in words that nobody understands."""
    assert is_new_enough(version) is enough


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the dashboard's sources."""
    copy = tmp_path / "dashboard"
    shutil.copytree(DASHBOARD, copy, ignore=shutil.ignore_patterns("node_modules", "dist", ".node", "__pycache__"))
    return copy


def test_only_what_the_page_is_made_of_makes_it_anew(sources: Path) -> None:
    """A source that changes, comes or goes asks for a build; a test does not."""
    before = checksum(sources)
    (sources / "src" / "new.test.ts").write_text("x")
    assert checksum(sources) == before
    (sources / "src" / "new.ts").write_text("x")
    with_new = checksum(sources)
    (sources / "src" / "new.ts").rename(sources / "src" / "newer.ts")
    renamed = checksum(sources)
    (sources / "index.html").write_text("x")
    assert len({before, with_new, renamed, checksum(sources)}) == 4


def test_what_is_fetched_is_what_the_lock_file_asks_for(sources: Path) -> None:
    """Native parts for other machines may be missing; another version of anything else asks for fetching anew."""
    assert not has_dependencies(sources)
    lock = json.loads((sources / "package-lock.json").read_text())
    installed = {name: package for name, package in lock["packages"].items() if name and not package.get("optional")}
    (sources / "node_modules").mkdir()
    told = sources / "node_modules" / ".package-lock.json"
    told.write_text(json.dumps({"packages": installed}))
    assert has_dependencies(sources)
    installed["node_modules/react"] = {"version": "18.0.0", "integrity": "sha512-other"}
    told.write_text(json.dumps({"packages": installed}))
    assert not has_dependencies(sources)


def test_the_lock_file_names_no_registry_and_every_machine() -> None:
    """`npm ci` takes the registry that the machine is set to, and finds the native parts for Linux and macOS."""
    text = (DASHBOARD / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    assert '"resolved"' not in text
    scripts = {name for name, package in packages.items() if package.get("hasInstallScript")}
    assert all(packages[name].get("optional") for name in scripts)
    for name, package in packages.items():
        for native in package.get("optionalDependencies", {}):
            assert f"node_modules/{native}" in packages, f"{name} may need {native}, which the lock file lacks"


@pytest.mark.slow
def test_the_types_of_the_api_are_current(tmp_path: Path) -> None:
    """`src/api/schema.ts` is what `make types` makes of the API as it is now."""
    api_types.write_types(tmp_path / "schema.ts")
    assert (tmp_path / "schema.ts").read_text() == api_types.SCHEMA.read_text(), "run `make types`"


@pytest.mark.slow
def test_a_wheel_carries_the_page(tmp_path: Path) -> None:
    """What pip installs has the page with its compressed files, and nothing of what it was made of."""
    build_page()
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", str(tmp_path), str(ROOT)], check=True)
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    page = [name for name in names if name.startswith("tailrace/dashboard/")]
    assert "tailrace/dashboard/index.html" in page
    built = {path.name for path in (ROOT / "src" / "tailrace" / "dashboard" / "assets").iterdir()}
    assert {name.rpartition("/")[2] for name in page if "/assets/" in name} == built
    assert any(name.endswith(".js.br") for name in page)
    assert not [name for name in names if "node_modules" in name or name.endswith(".tsx")]


@pytest.mark.slow
def test_a_build_that_cannot_be_made_says_why(sources: Path) -> None:
    """It fails, with what the tool said; where the page is optional, it is told and all else goes on."""
    (sources / "src" / "main.tsx").write_text("this is no program (")
    os.symlink(DASHBOARD / "node_modules", sources / "node_modules")
    assert find_node() is not None
    build = [sys.executable, str(sources / "build")]
    failed = subprocess.run(build, capture_output=True, text=True)
    assert failed.returncode == 1
    assert "main.tsx" in failed.stderr
    assert subprocess.run([*build, "--optional"], capture_output=True).returncode == 0
    assert not (sources.parent / "src" / "tailrace" / "dashboard").exists()
