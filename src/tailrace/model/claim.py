"""The claim: how the same events, appended to the log twice, are stored once.

A producer that repeats what may have arrived gives each copy the same claim, in a header of the log record. Whoever
reads the log asks `store.port.Claims` which record has it, and leaves the others out.

    letter/0-17-3              the replay of a dead letter; for ever
    key/1763726400123456/K     a request with an Idempotency-Key K, percent-encoded, and when it came in, in
                               microseconds: two requests with one K are one while their times are near
    key/1763726400123456/K/rejected    the dead letters of the same request
    document/1763726400123456/DIGEST   one event, a document that came with an index and an id, and when it came in;
                               within one record the first of several has it

What is routed to some stores alone has a record and a claim of its own, `…/to-lake%2Cjsonl`.
A log that must split a record puts the rows of each part behind its claim, `/0-5000`: each is to be stored.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import blake2b
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

CLAIM = "claim"
"""Header of a log record; its value is the claim."""

ONLY_STORE = "only-store"
"""Header of a log record made from a letter that one store had refused: that store's name. Every other store has the
event already, and leaves the record out."""

STORES = "stores"
"""Header of a log record whose events were routed: the names of their stores, in a comma list. The others leave the
record out."""

ROW_CLAIMS = "row-claims"
"""Header of a log record whose events with an attribute DOCUMENT_ID have claims of their own; its value is DOCUMENTS.
Their time is the one at which the event was observed."""

DOCUMENTS = "documents"
DOCUMENT_ID = "_id"
DOCUMENT_INDEX = "_index"

DOCUMENT_KEYS = "document/*"
"""What matches, as a glob, the keys of all claims of documents."""

KEY_CHARACTERS_MAX = 255

_KEY = re.compile(rf"[\x20-\x7e]{{1,{KEY_CHARACTERS_MAX}}}")
_DOCUMENT = "document/"
_REQUEST = re.compile(r"(key|document)/(\d{1,16})/(.+)")


def is_key(key: str) -> bool:
    """Whether a client may use this as an Idempotency-Key: 1 to 255 printable characters of ASCII."""
    return _KEY.fullmatch(key) is not None


def request_claim(key: str, at_us: int) -> str:
    """The claim of a request's events; `at_us` is when it came in."""
    return f"key/{at_us}/{quote(key, safe='')}"


def rejected_claim(key: str, at_us: int) -> str:
    """The claim of the same request's dead letters."""
    return f"{request_claim(key, at_us)}/rejected"


def routed_claim(claim: str, stores: str) -> str:
    """The claim of a part of what `claim` stands for: of the events that were routed to `stores`, a comma list."""
    return f"{claim}/to-{quote(stores, safe='')}"


def letter_claim(letter_id: str) -> str:
    """The claim of what a dead letter became."""
    return f"letter/{letter_id}"


def key_and_time(claim: str) -> tuple[str, int | None]:
    """What must be unique, and around when, in microseconds; None: for ever."""
    found = _REQUEST.fullmatch(claim)
    return (claim, None) if found is None else (f"{found[1]}/{found[3]}", int(found[2]))


def document_claims(events: pa.RecordBatch) -> tuple[npt.NDArray[np.int64], Sequence[str]]:
    """The rows that have a DOCUMENT_ID, rising, and their claims, from a batch with the columns of EVENT_SCHEMA."""
    rows, indices, ids = _documents(events)
    times_us = events.column("observed_timestamp").cast(pa.int64()).take(pa.array(rows)).to_pylist()
    claims = []
    for at_us, index, id in zip(times_us, indices.to_pylist(), ids.to_pylist(), strict=True):
        digest = urlsafe_b64encode(document_digest(index.encode(), id.encode())).decode()
        claims.append(f"{_DOCUMENT}{at_us}/{digest}")
    return rows, claims


def document_digest(index: bytes, id: bytes) -> bytes:
    """What a document is told by: 15 bytes of BLAKE2, for which nobody has found two documents that have the same."""
    return blake2b(b"%d:%s%s" % (len(index), index, id), digest_size=15).digest()


def document_of_key(key: str) -> bytes:
    """The digest in a key, as `key_and_time` gives that of a document's claim."""
    return urlsafe_b64decode(key.removeprefix(_DOCUMENT))


def has_only_documents_of(events: pa.RecordBatch, before: pa.RecordBatch) -> bool:
    """Whether every DOCUMENT_ID in `events` stands with an index with which one of `before`'s does: otherwise they
    are not what the client said, and events that differ might be taken for one."""
    if events is before:
        return True
    named = [
        pc.binary_join_element_wise(pc.binary_length(indices).cast(pa.string()), indices, ids, ":")
        for _, indices, ids in (_documents(events), _documents(before))
    ]
    return bool(pc.all(pc.is_in(*named), min_count=0).as_py())


def _documents(events: pa.RecordBatch) -> tuple[npt.NDArray[np.int64], pa.StringArray, pa.StringArray]:
    """The rows that have a DOCUMENT_ID, their DOCUMENT_INDEX, "" where there is none, and that id."""
    ids, rows = _attribute(events, DOCUMENT_ID)
    indices, index_rows = _attribute(events, DOCUMENT_INDEX)
    places = np.searchsorted(index_rows, rows)
    lacking = ~np.isin(rows, index_rows)
    return rows, indices.take(pa.array(places, mask=lacking)).fill_null(""), ids


def _attribute(events: pa.RecordBatch, name: str) -> tuple[pa.StringArray, npt.NDArray[np.int64]]:
    """The values of an attribute, and the rows that have it."""
    attributes = events.column("attributes")
    offsets = attributes.offsets.to_numpy()
    first, last = int(offsets[0]), int(offsets[-1])
    keys = attributes.keys.slice(first, last - first)
    places = np.flatnonzero(pc.equal(keys, name).to_numpy(zero_copy_only=False))
    rows = np.searchsorted(offsets, places + first, side="right") - 1
    return attributes.items.slice(first, last - first).take(pa.array(places)), rows.astype(np.int64)
