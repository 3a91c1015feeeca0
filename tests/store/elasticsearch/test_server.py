"""The HTTP client: URLs, who answers, and what each failure means."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from deploy.local.process import free_port
from deploy.local.search_node import SearchNode

from tailrace.errors import RetryLater, Stop
from tailrace.store.elasticsearch.server import Busy, Product, Refused, Server, parse_url, product_of


def test_a_url_says_where_and_the_name() -> None:
    """Scheme, several hosts, the port and the name that are meant where none is written."""
    assert parse_url("elasticsearch").hosts == ("http://127.0.0.1:9200",)
    address = parse_url("elasticsearch+https://a,b:9201,[::1]:1/web.shop-1/")
    assert address.hosts == ("https://a:9200", "https://b:9201", "https://[::1]:1")
    assert (address.name, address.authorization) == ("web.shop-1", None)
    assert parse_url("elasticsearch://h").name == "logs"


def test_a_url_says_who_asks() -> None:
    """User and password, percent-encoded, or an API key; neither is printed."""
    address = parse_url("elasticsearch://us%40er:p%3A%2F@h")
    assert address.authorization == "Basic dXNAZXI6cDov"
    assert "dXNAZXI6cDov" not in repr(address)
    assert parse_url("elasticsearch://api_key:a2V5%3D@h").authorization == "ApiKey a2V5="


@pytest.mark.parametrize(
    "url",
    [
        "elasticsearch://",
        "elasticsearch://h:99999",
        "elasticsearch://h:x",
        "elasticsearch://h/Logs",
        "elasticsearch://h/_x",
        "elasticsearch://h/a/b",
        "elasticsearch://user:secret@h/A",
        "elasticsearch://secret@h",
        "http://user:secret@h",
    ],
)
def test_a_url_that_cannot_be_meant_stops(url: str) -> None:
    """With the reason, and without the password."""
    with pytest.raises(Stop) as stopped:
        parse_url(url)
    assert "secret" not in str(stopped.value)


@pytest.mark.parametrize(
    ("version", "product"),
    [
        ({"number": "7.17.29"}, Product("elasticsearch", (7, 17))),
        ({"number": "9.2.0"}, Product("elasticsearch", (9, 2))),
        ({"number": "2.19.1", "distribution": "opensearch"}, Product("opensearch", (2, 19))),
        ({"number": "3.8.0", "distribution": "opensearch"}, Product("opensearch", (3, 8))),
        ({"number": "7.10.2"}, None),
        ({"number": "10.0.0"}, None),
        ({"number": "1.3.0", "distribution": "opensearch"}, None),
        ({}, None),
    ],
)
def test_versions_that_are_known(version: dict[str, str], product: Product | None) -> None:
    """Others stop, and so does what is neither."""
    if product is None:
        with pytest.raises(Stop):
            product_of({"version": version}, "http://h:9200")
    else:
        assert product_of({"version": version}, "http://h:9200") == product


class Door(BaseHTTPRequestHandler):
    """Answers with the status that the path names; `/who` with the authorization it was sent."""

    def do_GET(self) -> None:
        status = 200 if self.path == "/who" else int(self.path[1:])
        body = f'{{"who":"{self.headers.get("authorization")}"}}'.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def door() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Stop),
        (403, Stop),
        (400, Refused),
        (404, Refused),
        (429, Busy),
        (500, RetryLater),
        (502, RetryLater),
        (503, RetryLater),
        (504, RetryLater),
    ],
)
def test_a_status_says_what_to_do(door: str, status: int, kind: type[Exception]) -> None:
    """Not let in: stop. Busy or away: later. Anything else is for the caller, who may also expect it."""
    server = Server(f"elasticsearch://{door}")
    with pytest.raises(kind, match=str(status) if status != 429 else "busy"):
        server.request("GET", f"/{status}")
    if kind is Refused:
        assert server.request("GET", f"/{status}", expected=(status,)) == {"who": "None"}
    server.close()


def test_credentials_are_sent(door: str) -> None:
    """As the header that the URL makes."""
    server = Server(f"elasticsearch://u:p@{door}")
    assert server.request("GET", "/who") == {"who": "Basic dTpw"}
    server.close()


def test_a_host_that_is_down_is_passed_over(door: str) -> None:
    """The next one answers, and is asked first from then on; with none left, later."""
    down = f"127.0.0.1:{free_port()}"
    server = Server(f"elasticsearch://{down},{door}")
    assert server.request("GET", "/who") == {"who": "None"}
    assert server._first == 1
    server.close()
    alone = Server(f"elasticsearch://{down}")
    with pytest.raises(RetryLater, match=down):
        alone.request("GET", "/who")
    alone.close()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[pytest.mark.slow, pytest.mark.xdist_group("search")])
        for n in ("elasticsearch", "opensearch")
    ],
)
def test_real_servers_are_told_apart(request: pytest.FixtureRequest, name: str) -> None:
    """By the answer of `GET /`."""
    node: SearchNode = request.getfixturevalue(name)
    server = Server(node.store_url())
    assert server.product().kind == name
    server.close()
