"""Files on an object store, by delta-rs' own client for it: the very one that writes the table's commits.

It takes the settings of its environment (`AWS_ACCESS_KEY_ID`…) and `storage_options` beside them, and speaks to S3,
HDFS and whatever else delta-rs does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

# delta-rs hands this out wrapped for pyarrow's file systems. That wrapper passes pyarrow's buffers on, and the client
# wants bytes.
from deltalake._internal import DeltaFileSystemHandler
from deltalake.exceptions import DeltaError
from pyarrow.fs import FileType

from tailrace.errors import RetryLater, Stop, TailraceError
from tailrace.store.lake.place_port import Entry

# One request; a file of some megabytes takes a few, and none holds up memory for long.
_CHUNK_BYTES = 8 << 20

# What takes longer is tried again by whoever asked, who says so meanwhile. delta-rs' own are ten tries and three
# minutes.
_PATIENCE = {"max_retries": "3", "retry_timeout": "20s", "connect_timeout": "5s"}

# Of the texts in which stores say that a person has to do something. 169.254.169.254 is where a machine in the cloud
# gets its rights from: asked only when none were given.
_REFUSED = re.compile(
    r"40[13] |AccessDenied|Forbidden|InvalidAccessKeyId|SignatureDoesNotMatch|NoSuchBucket|Unknown scheme"
    r"|Permission denied|AccessControlException|URL scheme is not allowed|169\.254\.169\.254|builder error"
    r"|loading credentials|not a valid|Unable to (parse|convert)"
)
_ARROWS = re.compile(r"\s*\n\s*(?:\x1b\[[0-9;]*m)?↳(?:\x1b\[[0-9;]*m)?\s*|\x1b\[[0-9;]*m")
_XML_REASON = re.compile(r"<Code>(.*?)</Code>.*?<Message>(.*?)</Message>", re.DOTALL)


class Objects:
    """The files below one URL. Shared between threads.

    Every method raises `RetryLater` when the store cannot be reached, and `FileNotFoundError` for what is not there.
    """

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        """Asks nothing of the store yet. Raises `Stop` for a URL that names none."""
        self.url = url
        self.options = {**_PATIENCE, **options}
        try:
            self._store = DeltaFileSystemHandler(url, self.options)
        except (DeltaError, OSError, ValueError) as error:
            raise Stop(f"{url}: {reason_of(error)}") from error

    def upload(self, path: str, source: Path) -> None:
        """Durable on return; until then nobody sees the file, nor any part of it."""
        with open(source, "rb") as file:
            self._write(path, iter(lambda: file.read(_CHUNK_BYTES), b""))

    def put(self, path: str, content: bytes) -> None:
        """As `upload`; replaces what is there."""
        self._write(path, [content])

    def download(self, path: str, target: Path) -> None:
        """Raises `RetryLater` for what the local disk refuses, too: nothing is wrong with the file."""
        with open(target, "wb", buffering=0) as file:
            for chunk in self._chunks(path):
                try:
                    file.write(chunk)
                except OSError as error:
                    raise RetryLater(f"{target}: cannot be written: {error}") from error

    def _chunks(self, path: str) -> Iterator[bytes]:
        try:
            source = self._store.open_input_file(path)
            while chunk := source.read(_CHUNK_BYTES):
                yield chunk
        except (OSError, DeltaError) as error:
            raise self._translated(error, path) from error

    def tail(self, path: str, size_bytes: int | None = None) -> bytes:
        """The last bytes of a file, or all of it."""
        try:
            source = self._store.open_input_file(path)
            if size_bytes is None:
                return source.read(source.size())
            source.seek(max(0, source.size() - size_bytes))
            return source.read(size_bytes)
        except (OSError, DeltaError) as error:
            raise self._translated(error, path) from error

    def exists(self, path: str) -> bool:
        """One small request."""
        try:
            self._store.open_input_file(path)
        except FileNotFoundError:
            return False
        except (OSError, DeltaError) as error:
            raise self._translated(error, path) from error
        return True

    def entries(self, folder: str) -> list[Entry]:
        """All files below a folder (`""`: the URL's own); none when it is not there."""
        try:
            found = self._store.get_file_info_selector(folder, True, True)
        except (OSError, DeltaError) as error:
            raise self._translated(error, folder) from error
        return [
            Entry(info.path, info.size or 0, info.mtime.timestamp() if info.mtime else 0.0)
            for info in found
            if info.type == FileType.File
        ]

    def delete(self, path: str) -> bool:
        """Whether it was there, as far as the store tells."""
        try:
            self._store.delete_file(path)
        except FileNotFoundError:
            return False
        except (OSError, DeltaError) as error:
            raise self._translated(error, path) from error
        return True

    def refusal(self, error: Exception) -> TailraceError:
        """`Stop` for what only a person can mend, else `RetryLater`."""
        kind = Stop if _REFUSED.search(str(error)) else RetryLater
        return kind(f"{self.url}: {reason_of(error)}")

    def _write(self, path: str, chunks: Iterable[bytes]) -> None:
        try:
            target: Any = self._store.open_output_stream(path, None)
            # What is not closed never comes to be.
            for chunk in chunks:
                target.write(chunk)
            target.close()
        except (OSError, DeltaError) as error:
            raise self._translated(error, path) from error

    def _translated(self, error: Exception, path: str) -> Exception:
        if isinstance(error, FileNotFoundError):
            return FileNotFoundError(f"{self.url}/{path}: is not there")
        return RetryLater(f"{self.url}/{path}: {reason_of(error)}")


def reason_of(error: Exception) -> str:
    """The error in one line: delta-rs draws a tree, in colours, and quotes the XML of S3."""
    text = str(error)
    said = _XML_REASON.search(text)
    parts = _ARROWS.sub(": ", text[: text.find("<?xml")] if said else text)
    line = " ".join(parts.split()).strip(": ")
    return f"{line}: {said[1]}: {said[2]}" if said else line
