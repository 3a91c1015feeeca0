"""The files of the built dashboard, read once: they are few, small, and the same until the next start.

The build leaves `FILE.br` and `FILE.gz` beside each file that is worth compressing; a client gets what it takes.
A file is found by its name in a table made at the start, so no path of a request ever reaches the file system.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PAGE_FOLDER = Path(__file__).parent.parent / "dashboard"
"""Where the build puts the page, in the package."""

INDEX = "index.html"

# In the order in which they are taken: brotli's are about a sixth smaller.
_SUFFIXES = {"br": ".br", "gzip": ".gz"}

# What a machine's own table of types may lack, or have otherwise.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """`encodings` has the compressed contents by the name of their content coding; there may be none."""

    content: bytes
    encodings: Mapping[str, bytes]
    media_type: str
    etag: str

    def for_client(self, accept_encoding: str) -> tuple[bytes, str | None]:
        """The content in the best coding that the client takes, and that coding's name."""
        accepted = _accepted(accept_encoding)
        for coding, content in self.encodings.items():
            if coding in accepted:
                return content, coding
        return self.content, None


@dataclass(frozen=True, slots=True)
class PageFiles:
    """`index` is the page with its two gaps, `__NONCE__` and `__PAGE__`; `files` are all others, by their path."""

    index: str
    files: Mapping[str, PageFile]


def read_page(folder: Path = PAGE_FOLDER) -> PageFiles | None:
    """None where the page was not built."""
    try:
        index = (folder / INDEX).read_text("utf-8")
    except FileNotFoundError:
        return None
    # What begins with a dot is the build's own.
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    found = {path.relative_to(folder).as_posix(): path for path in paths}
    compressed = {name for name in found if Path(name).suffix in _SUFFIXES.values()}
    plain = found.keys() - compressed - {INDEX}
    return PageFiles(index, {name: _read(found[name]) for name in sorted(plain)})


def _read(path: Path) -> PageFile:
    content = path.read_bytes()
    encodings = {
        coding: beside.read_bytes()
        for coding, suffix in _SUFFIXES.items()
        if (beside := path.with_name(path.name + suffix)).is_file()
    }
    media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return PageFile(content, encodings, media_type, hashlib.sha256(content).hexdigest()[:20])


def _accepted(accept_encoding: str) -> set[str]:
    """The codings of an Accept-Encoding header that are not refused by `q=0`."""
    accepted = set()
    for part in accept_encoding.split(","):
        coding, _, weight = part.strip().partition(";")
        if weight.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            accepted.add(coding.strip().lower())
    return accepted
