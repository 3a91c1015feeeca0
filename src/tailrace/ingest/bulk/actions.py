"""The framing of a bulk request of Elasticsearch: what each item asks for, and lines for the NDJSON kernel.

The source is Elasticsearch's reference, "Bulk API". An item is a line that says what to do, and, but for `delete`,
a line with the document. Blank lines in front of an action are left out, and the last line needs no line feed.

    {"create":{"_index":"web","_id":"7"}}
    {"message":"hello"}

Of an action, `_index` and `_id` are read. What else stands in it (`_type`, `routing`, `pipeline`, `require_alias`…)
says how a cluster of Elasticsearch is to keep the document, and means nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tailrace.config import IngestSettings
from tailrace.errors import BadInput, TooLarge
from tailrace.ingest.json_slow import Members, NotAnEvent, NotJson, clean, parse_json
from tailrace.kernels import bulk_in
from tailrace.kernels.bulk_in import (
    DOCUMENT_END,
    DOCUMENT_START,
    ID_BYTES_MAX,
    ID_END,
    ID_START,
    INDEX_BYTES_MAX,
    ITEM_BYTES,
    NO_EVENT,
    TEXT_END,
    TEXT_START,
)
from tailrace.kernels.simd import WIDTH, count_byte

ITEMS_MAX = 500_000
"""Of one request. Each is answered with some 80 bytes, so that an answer stays below the largest body."""

OPERATIONS = ("index", "create", "update", "delete")
"""Names by the kernel's numbers."""

# What stands before index and id in `Items.text`.
_INDEX_OPEN = b'"_index":"'
_ID_OPEN = b'","_id":"'


@dataclass(frozen=True, slots=True)
class Items:
    """`table` has a row for each item, its columns named in `kernels.bulk_in`, with places in `body` and `lines`.

    Line `i` of `lines` is item `i`. `refused` says why an item cannot be done, whatever its document is.
    """

    body: bytes
    lines: npt.NDArray[np.uint8]
    table: npt.NDArray[np.int64]
    refused: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.table)

    def document(self, number: int) -> bytes:
        """The document of an item as it was sent; empty where there is none."""
        row = self.table[number]
        return self.body[row[DOCUMENT_START] : row[DOCUMENT_END]].strip(b" \t\r\n")

    def text(self, number: int) -> bytes:
        """Index and id of an item as members of a JSON object: `"_index":"web","_id":"7"`. Equal for equal ones."""
        row = self.table[number]
        return self.lines[row[TEXT_START] : row[TEXT_END]].tobytes()

    def names(self, numbers: npt.NDArray[np.int64]) -> list[tuple[bytes, bytes]]:
        """Index and id of items that have an id, in UTF-8."""
        lines = self.lines.tobytes()
        places = self.table[numbers][:, [TEXT_START, ID_START, ID_END]].tolist()
        named = []
        for start, id_start, id_end in places:
            index, id = lines[start + len(_INDEX_OPEN) : id_start - len(_ID_OPEN)], lines[id_start:id_end]
            if b"\\" in index or b"\\" in id:
                index, id = _plain(index), _plain(id)
            named.append((index, id))
        return named


def read_items(body: bytes, *, index: str, limits: IngestSettings) -> Items:
    """`index` is for the items that name none.

    Raises `BadInput` with the line when an action cannot be read, for then nobody knows what the lines behind it
    are, when there is no action at all, and when `index` is too long; `TooLarge` past ITEMS_MAX.
    """
    if len(index.encode()) > INDEX_BYTES_MAX:
        raise BadInput(f"the index name is longer than {INDEX_BYTES_MAX} bytes")
    d = np.frombuffer(body, np.uint8)
    index_text = _json_text(index)
    items_max = min(int(count_byte(d, 0x0A)) + 1, ITEMS_MAX)
    lines = np.empty(len(d) + items_max * (len(index_text) + ITEM_BYTES) + WIDTH, np.uint8)
    table = np.empty((items_max, 8), np.int64)
    refused: dict[int, str] = {}
    default = np.frombuffer(index_text, np.uint8)
    place = at = count = 0
    while True:
        why, place, at, count = bulk_in.read_items(d, place, default, lines, at, table, count)
        if why == bulk_in.DONE:
            break
        if why == bulk_in.FULL:
            raise TooLarge(f"more than {ITEMS_MAX:,} items in one bulk request; send it in parts")
        end = body.find(b"\n", place)
        end = len(body) if end < 0 else end
        try:
            operation, text, id_bytes, reason = _read_action(body[place:end], index, limits)
        except BadInput as error:
            raise BadInput(f"Malformed action/metadata line [{_line(body, place)}], {error}") from None
        if why == bulk_in.NO_DOCUMENT or (operation != bulk_in.DELETE and end + 1 >= len(body)):
            raise BadInput(f"line {_line(body, place)} has no document behind it; the body was cut off")
        document = (end, end)
        if operation != bulk_in.DELETE:
            document_end = body.find(b"\n", end + 1)
            document = (end + 1, len(body) if document_end < 0 else document_end)
        table[count] = (operation, place, *document, *_places(at + len(NO_EVENT), text, id_bytes))
        line = _line_of(text, b"" if reason is not None else body[slice(*document)])
        lines[at : at + len(line)] = np.frombuffer(line, np.uint8)
        at += len(line)
        if reason is not None:
            refused[count] = reason
        place = int(table[count, DOCUMENT_END])
        count += 1
    if count == 0:
        raise BadInput("the body has no action; a bulk request has a line with an action before each document")
    return Items(body, lines[:at], table[:count], refused)


def _places(start: int, text: bytes, id_bytes: int) -> tuple[int, int, int, int]:
    """TEXT_START to ID_END. Behind the id stands its quote."""
    end = start + len(text)
    id_end = end - 1 if id_bytes else end
    return start, end, id_end - id_bytes, id_end


def _line_of(text: bytes, document: bytes) -> bytes:
    """As the kernel writes it: the document with the text in it, where it is an object."""
    document = document.strip(b" \t\r")
    if not document.startswith(b"{"):
        return NO_EVENT + text + b"\n"
    members = document[1:].lstrip(b" \t\r")
    return b"{" + text + (b"" if members.startswith(b"}") else b",") + members + b"\n"


def _read_action(line: bytes, index: str, limits: IngestSettings) -> tuple[int, bytes, int, str | None]:
    """Operation, text, bytes of the id in it, and why it is refused. Raises `BadInput` when it is no action."""
    if len(line) > limits.line_bytes_max:
        raise BadInput(f"{len(line):,} bytes are more than {limits.line_bytes_max:,} (ingest.line_bytes_max)")
    try:
        action = parse_json(line.strip(b" \t\r"), limits)
    except (NotJson, NotAnEvent) as error:
        raise BadInput(str(error)) from None
    if not isinstance(action, Members) or len(action) != 1:
        raise BadInput('expected an object with one action, as {"create":{}}')
    [(name, members)] = action
    if name not in OPERATIONS:
        raise BadInput(f"expected field [create], [delete], [index] or [update] but found [{clean(name[:80])}]")
    if not isinstance(members, Members):
        raise BadInput(f"expected an object behind [{name}]")
    operation = OPERATIONS.index(name)
    index_name = _value_of(members, "_index") or index
    id = _value_of(members, "_id")
    reason = None
    if operation in (bulk_in.UPDATE, bulk_in.DELETE):
        reason = f"{name} is not possible: an event that was logged stays as it is; send create or index"
    elif len(index_name.encode()) > INDEX_BYTES_MAX:
        reason = f"the index name is longer than {INDEX_BYTES_MAX} bytes"
    elif id == "":
        reason = "if _id is specified it must not be empty"
    elif id is not None and len(id.encode()) > ID_BYTES_MAX:
        reason = f"id is too long, must be no longer than {ID_BYTES_MAX} bytes but was: {len(id.encode())}"
    text = _INDEX_OPEN + _json_text(index_name) + b'"'
    if not id:
        return operation, text, 0, reason
    id_text = _json_text(id)
    return operation, text[:-1] + _ID_OPEN + id_text + b'"', len(id_text), reason


def _value_of(members: Members, name: str) -> str | None:
    """The value as text; of equal names the last one counts, and a null is as good as absent."""
    found = None
    for key, value in members:
        if key == name:
            if not isinstance(value, str | bool | None):
                raise BadInput(f"expected a simple value for field [{name}]")
            found = str(value).lower() if isinstance(value, bool) else value
    return None if found is None else clean(found)


def _plain(text: bytes) -> bytes:
    """What `_json_text` was made of."""
    whole: str = json.loads(b'"' + text + b'"')
    return whole.encode()


def _json_text(text: str) -> bytes:
    """As it stands between the quotes of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1].encode()


def _line(body: bytes, place: int) -> int:
    return body.count(b"\n", 0, place) + 1
