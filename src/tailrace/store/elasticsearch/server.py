"""The HTTP client of Elasticsearch and OpenSearch: what is asked, whom, and what a failure means.

    elasticsearch://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…]/NAME      elasticsearch+https://…

NAME begins the names of all indices; without one it is `logs`. The user `api_key` stands for an API key, which is
then the password. Certificates are checked against the system's, or those that SSL_CERT_FILE names.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast
from urllib.parse import unquote, urlencode

import orjson
import urllib3
from urllib3.exceptions import HTTPError

from tailrace.errors import RetryLater, Stop

NAME = "logs"
PORT = 9200
API_KEY_USER = "api_key"
NDJSON = "application/x-ndjson"

# Longer than a bulk request of the default size takes on a busy server; one that has gone silent is noticed then.
READ_TIMEOUT_S = 30.0
_CONNECT_TIMEOUT_S = 5.0
# As many as the writer and the queries of a process have under way; more are opened and thrown away again.
_CONNECTIONS_KEPT = 16

_URL = re.compile(
    r"elasticsearch(?P<tls>\+https)?://(?:(?P<credentials>[^@/]*)@)?(?P<hosts>[^/@]*)(?:/(?P<name>.*))?"
)
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::(\d{1,5}))?")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")

Parameters = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Address:
    """What a store's URL says. `hosts` are base URLs; `authorization` is the header's value."""

    hosts: tuple[str, ...]
    name: str
    authorization: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Product:
    """Which server answers, and its version."""

    kind: Literal["elasticsearch", "opensearch"]
    version: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Answer:
    """A status below 400, or one that the caller said it expects, and the body."""

    status: int
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body) if self.body else {}


class Refused(Exception):
    """The server understood and said no (a status of 4xx other than 401, 403 and 429)."""

    def __init__(self, what: str, status: int, reason: str) -> None:
        super().__init__(f"{what}: {status} {reason}")
        self.status = status
        self.reason = reason


def parse_url(url: str) -> Address:
    """Raises `Stop` when it is not such a URL; `elasticsearch` alone is this machine."""
    match = _URL.fullmatch("elasticsearch://127.0.0.1" if url == "elasticsearch" else url)
    if match is None:
        raise Stop(f"{_masked(url)}: not of the form elasticsearch://HOST:{PORT}/NAME")
    scheme = "https" if match["tls"] else "http"
    hosts = []
    for text in match["hosts"].split(","):
        host = _HOST.fullmatch(text)
        if host is None or int(host[2] or PORT) > 65535:
            raise Stop(f"{_masked(url)}: {text!r} is not HOST:PORT")
        hosts.append(f"{scheme}://{host[1]}:{host[2] or PORT}")
    name = (match["name"] or "").rstrip("/") or NAME
    if not _NAME.fullmatch(name):
        raise Stop(
            f"{_masked(url)}: {name!r} cannot begin the name of an index: lower-case letters, digits, '-', '_' and "
            "'.' only, a letter or digit first"
        )
    return Address(tuple(hosts), name, _authorization(url, match["credentials"]))


def _authorization(url: str, credentials: str | None) -> str | None:
    if credentials is None:
        return None
    user, colon, password = credentials.partition(":")
    if not colon:
        raise Stop(f"{_masked(url)}: there is a user without a password; write USER:PASSWORD@HOST")
    user, password = unquote(user), unquote(password)
    if user == API_KEY_USER:
        return f"ApiKey {password}"
    return urllib3.make_headers(basic_auth=f"{user}:{password}")["authorization"]


def _masked(url: str) -> str:
    return re.sub(r"//[^@/]*@", "//…@", url)


class Server:
    """One cluster. Shared between threads; connects at the first request.

    Every method raises `RetryLater` while the cluster is away or too busy, `Stop` when it does not let us in, and
    `Refused` for any other status of 400 or more that is not among `expected`.
    """

    def __init__(self, url: str, *, read_timeout_s: float = READ_TIMEOUT_S) -> None:
        self.address = parse_url(url)
        self.name = self.address.name
        self._pool = urllib3.PoolManager(
            num_pools=len(self.address.hosts),
            maxsize=_CONNECTIONS_KEPT,
            retries=False,
            timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=read_timeout_s),
        )
        self._headers = {"authorization": self.address.authorization} if self.address.authorization else {}
        self._first = 0
        self._product: Product | None = None
        self._asking = threading.Lock()

    def product(self) -> Product:
        """Asked once. Raises `Stop` for what is neither Elasticsearch 7.17 to 9 nor OpenSearch 2 or 3."""
        with self._asking:
            if self._product is None:
                self._product = product_of(self.request("GET", "/"), self.address.hosts[0])
            return self._product

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        parameters: Parameters | None = None,
        expected: Sequence[int] = (),
    ) -> Any:
        """The parsed answer; `body` is sent as JSON."""
        payload = None if body is None else orjson.dumps(body)
        return self.send(
            method, path, payload, content_type="application/json", parameters=parameters, expected=expected
        ).json()

    def send(
        self,
        method: str,
        path: str,
        payload: bytes | memoryview | None = None,
        *,
        content_type: str,
        parameters: Parameters | None = None,
        expected: Sequence[int] = (),
    ) -> Answer:
        """The raw answer. Hosts that do not answer are passed over; the one that did is asked first next time."""
        target = f"{path}?{urlencode(parameters)}" if parameters else path
        headers = {**self._headers, "content-type": content_type} if payload is not None else self._headers
        hosts, first = self.address.hosts, self._first
        failure = RetryLater("no host")
        for turn in range(len(hosts)):
            at = (first + turn) % len(hosts)
            try:
                answer = self._send_to(hosts[at], method, target, payload, headers, expected)
            except Busy:
                raise
            except RetryLater as error:
                failure = error
            else:
                self._first = at
                return answer
        raise failure

    def create_index(self, index: str, body: Any = None) -> None:
        """Make the index unless it is there, by the template that fits and by `body`."""
        try:
            self.request("PUT", f"/{index}", body)
        except Refused as error:
            if "resource_already_exists_exception" not in error.reason:
                # Too many shards, a name that is an alias: an operator mends it, and the events wait meanwhile.
                raise RetryLater(f"the index {index} cannot be made: {error}") from error

    def close(self) -> None:
        self._pool.clear()

    def _send_to(
        self,
        host: str,
        method: str,
        target: str,
        payload: bytes | memoryview | None,
        headers: Mapping[str, str],
        expected: Sequence[int],
    ) -> Answer:
        try:
            # urllib3 sends any bytes-like object as it is; its annotations do not say so.
            body = cast("bytes | None", payload)
            response = self._pool.request(method, host + target, body=body, headers=headers, redirect=False)
        except HTTPError as error:
            raise RetryLater(f"{host}: no answer: {_cause(error)}") from error
        status, data = response.status, response.data
        if status < 300 or status in expected:
            return Answer(status, data)
        what, reason = f"{host}: {method} {target.partition('?')[0]}", reason_of(data)
        if status in (401, 403) and "cluster_block_exception" not in reason:
            raise Stop(
                f"{what}: {status} {reason}; give a user that may do this in the store's URL: "
                "elasticsearch://USER:PASSWORD@HOST, or api_key:KEY@HOST"
            )
        if status == 429:
            raise Busy(f"{what}: too busy: {reason}")
        if status in (403, 408) or status >= 500:
            raise RetryLater(f"{what}: {status} {reason}")
        raise Refused(what, status, reason)


class Busy(RetryLater):
    """The cluster asks for less; another of its hosts would say the same."""


def product_of(answer: Any, host: str) -> Product:
    """Read the answer of `GET /`. Pure."""
    version = answer.get("version", {}) if isinstance(answer, dict) else {}
    numbers = re.match(r"(\d+)\.(\d+)", str(version.get("number", "")))
    if numbers is None:
        raise Stop(f"{host}: this is neither Elasticsearch nor OpenSearch; mend the store's URL")
    major, minor = int(numbers[1]), int(numbers[2])
    if version.get("distribution") == "opensearch":
        if major in (2, 3):
            return Product("opensearch", (major, minor))
    elif (7, 17) <= (major, minor) < (10, 0):
        return Product("elasticsearch", (major, minor))
    raise Stop(
        f"{host}: version {version['number']}; Tailrace works with Elasticsearch 7.17 to 9 and OpenSearch 2 and 3 "
        "(an OpenSearch that claims to be 7.10.2 has compatibility.override_main_response_version set)"
    )


def reason_of(data: bytes) -> str:
    """The server's own words, from an answer with an error."""
    try:
        error = orjson.loads(data)["error"]
        return said_in(error)
    except (ValueError, KeyError, TypeError, AttributeError):
        return " ".join(data[:200].decode("utf-8", "replace").split()) or "no reason given"


def said_in(error: Mapping[str, Any]) -> str:
    """An error object of the server, from the outermost cause to the innermost."""
    inner = error.get("caused_by")
    said = f"{error['type']}: {error.get('reason')}"
    return f"{said}; {said_in(inner)}" if inner else said


def _cause(error: BaseException) -> str:
    """The innermost reason: urllib3 wraps what happened several times over."""
    reason = getattr(error, "reason", None)
    return _cause(reason) if isinstance(reason, BaseException) else str(error)
