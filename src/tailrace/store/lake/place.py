"""From a URL to the place of a lake."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tailrace.errors import Stop
from tailrace.store.lake.place_local import LocalPlace
from tailrace.store.lake.place_port import Place
from tailrace.store.lake.place_remote import RemotePlace

__all__ = ["Place", "open_place"]

_CACHE_BYTES_MAX = 10 << 30


def open_place(
    place: str | Path,
    *,
    storage_options: Mapping[str, str] | None = None,
    cache: Path | None = None,
    cache_bytes_max: int = _CACHE_BYTES_MAX,
) -> Place:
    """A folder (its path, or `file:///PATH`), or a URL of an object store that delta-rs knows: `s3://BUCKET/PATH`,
    `hdfs://HOST:PORT/PATH`.

    What is read of a lake on an object store is kept in the folder `cache`, up to `cache_bytes_max`. Nothing is asked
    of the store yet. Raises `Stop` for what is no place.
    """
    if isinstance(place, Path) or "://" not in place:
        return LocalPlace(Path(place))
    url = urlsplit(place)
    if url.scheme == "file":
        if url.netloc:
            raise Stop(f"{place}: a folder is written file:///PATH, with three slashes")
        return LocalPlace(Path(unquote(url.path)))
    if not url.netloc or not url.path.strip("/"):
        raise Stop(f"{place}: a lake has a folder of its own: {url.scheme}://{url.netloc or 'BUCKET'}/PATH")
    if cache is None:
        raise Stop(f"{place}: a lake on an object store needs a local folder for what it reads")
    return RemotePlace(
        place.rstrip("/"), storage_options=storage_options or {}, cache=cache, cache_bytes_max=cache_bytes_max
    )
