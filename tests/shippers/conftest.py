"""What the tests of several clients share."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.shippers.rig import program


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost, which is its own CA."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *(program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", "server.key", "-out", "server.pem"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder
