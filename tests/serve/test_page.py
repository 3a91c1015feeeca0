from __future__ import annotations

import gzip
import json
import re
from html import unescape
from pathlib import Path

import httpx
import pytest

from tailrace.serve.app import role_app
from tailrace.serve.page_files import read_page
from tailrace.serve.page_routes import PLACES, page_router
from tests.serve.conftest import Client, House

ROOT = Path(__file__).parents[2]

SCRIPT = b"export const answer = 42;\n"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A built page, as the build leaves it."""
    folder = tmp_path / "dashboard"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(
        '<meta name="csp-nonce" content="__NONCE__"><meta name="tailrace" content="__PAGE__">'
    )
    (folder / "icon.svg").write_text("<svg/>")
    (folder / ".sources").write_text("checksum")
    (folder / "assets" / "index-abc.js").write_bytes(SCRIPT)
    (folder / "assets" / "index-abc.js.gz").write_bytes(gzip.compress(SCRIPT))
    (folder / "assets" / "index-abc.js.br").write_bytes(b"brotli")
    (folder / "assets" / "inter.woff2").write_bytes(b"font")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
def page(house: House, built: Path) -> Client:
    router = page_router(read_page(built), features=["ingest", 'a"b<c'])
    return house.client_of(role_app(house.places, routers=[router]))


def directives(answer: httpx.Response) -> dict[str, str]:
    [policy] = answer.headers.get_list("content-security-policy")
    return dict(part.strip().partition(" ")[::2] for part in policy.split(";"))


@pytest.mark.parametrize("path", [place.format(id="pV3kT9xQz-1m") for place in PLACES])
def test_every_place_of_the_dashboard_answers_the_page(page: Client, path: str) -> None:
    """A link into the dashboard, opened or loaded anew, gets the page; nobody keeps it without asking again."""
    answer = page.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert page.request("HEAD", path).headers["content-type"] == "text/html; charset=utf-8"


def test_the_places_are_those_of_the_page() -> None:
    """What the page's router knows is answered by the server, so that no link works only from inside."""
    routes = (ROOT / "dashboard" / "src" / "routes.tsx").read_text()
    known = {re.sub(r"\$(\w+)", r"{\1}", path) for path in re.findall(r'path: "(/[^"]*)"', routes)}
    assert known == set(PLACES)


def test_the_page_is_told_its_nonce_and_the_server(page: Client) -> None:
    """The nonce of the policy is the one in the page, and another for each answer; what is told is quoted."""
    nonces = set()
    for _ in range(2):
        answer = page.get("/")
        [nonce] = re.findall(r'csp-nonce" content="([^"]+)"', answer.text)
        assert directives(answer)["style-src"] == f"'self' 'nonce-{nonce}'"
        nonces.add(nonce)
    assert len(nonces) == 2
    [told] = re.findall(r'tailrace" content="([^"]+)"', answer.text)
    assert json.loads(unescape(told))["features"] == ["ingest", 'a"b<c']


def test_the_page_may_load_from_its_own_server_alone(page: Client) -> None:
    """The policy begins with nothing, and gives no place to scripts in the page, to eval or to other hosts."""
    found = directives(page.get("/"))
    assert found["default-src"] == "'none'"
    assert found["script-src"] == found["connect-src"] == found["font-src"] == "'self'"
    assert found["frame-ancestors"] == found["base-uri"] == found["form-action"] == "'none'"
    assert not any(word in value for value in found.values() for word in ("unsafe", "http", "*"))


def test_the_policy_of_the_api_stays(house: House, client: Client) -> None:
    """Answers that are no page keep the policy of all answers, once."""
    assert directives(client.get("/api/count"))["default-src"] == "'self'"


@pytest.mark.parametrize(
    ("accepted", "coding", "content"),
    [("gzip, deflate, br", "br", b"brotli"), ("gzip", "gzip", None), ("", None, SCRIPT), ("br;q=0", None, SCRIPT)],
)
def test_files_come_as_the_client_takes_them(
    page: Client, accepted: str, coding: str | None, content: bytes | None
) -> None:
    """The best coding that the client takes, made by the build; caches are told what it depends on."""
    answer = page.request("HEAD", "/assets/index-abc.js", headers={"accept-encoding": accepted})
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    expected = gzip.compress(SCRIPT) if content is None else content
    assert abs(int(answer.headers["content-length"]) - len(expected)) < 8


def test_files_with_a_hash_in_their_name_are_kept_for_ever(page: Client) -> None:
    """They change their names when they change; the others are asked about, and answered in a word."""
    asset = page.get("/assets/inter.woff2")
    assert (asset.content, asset.headers["content-type"]) == (b"font", "font/woff2")
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    icon = page.get("/icon.svg")
    assert icon.headers["cache-control"] == "no-cache"
    again = page.get("/icon.svg", headers={"if-none-match": icon.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/%2e%2e/index.html",
        "/assets//etc/passwd",
        "/assets/nothing.js",
        "/assets/index-abc.js.br",
        "/.sources",
        "/index.html",
        "/live/further",
    ],
)
def test_nothing_else_is_served(page: Client, path: str) -> None:
    """What is not a file of the page is not there, whatever the path says."""
    answer = page.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_without_a_build_the_page_says_how_to_make_one(house: House, tmp_path: Path) -> None:
    """A checkout that was started without a build answers something useful, and the API works."""
    client = house.client_of(role_app(house.places, routers=[page_router(read_page(tmp_path), features=[])]))
    answer = client.get("/")
    assert answer.status_code == 200
    assert "make run" in answer.text
    assert client.get("/healthz").status_code == 200
    assert client.get("/assets/index-abc.js").status_code == 404
