"""The redact step: what must not be stored is replaced before anything is stored.

A detector cuts each text into what it finds and what is between. All that was found in a batch is looked at once, by
its distinct texts, and the pieces are joined again; so the cost is that of the search, and of what is found.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.kernels.cards import find_cards
from tailrace.query.leaves import attribute_name
from tailrace.steps.fields import (
    TEXT_COLUMNS,
    Entries,
    Integers,
    attributes_of,
    first_of_equal_keys,
    numpy_bools,
    put_in,
    with_attributes,
    with_columns,
)

# A noncharacter (Unicode, 23.7), meant for marks within a program. In a text with something to redact one that was
# there becomes U+FFFD.
_EDGE, _REPLACEMENT = "\U0010ffff", "\ufffd"

_STAYS_MAX, _MASKED_MIN = 4, 8

HASH_HEX_DIGITS = 16
"""64 bits of the HMAC: equal texts stay equal, and two of a billion different ones hardly ever become so."""

Replace = Callable[[str, str], str]
"""What stands in the place of a text that the detector of this name has found."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Texts in which something was found, in pieces: text `rows[i]` is `pieces[before[i]:before[i + 1]]`, and every
    second of these was found.
    """

    rows: Integers
    pieces: pa.StringArray
    before: Integers


_NOTHING = Cut(np.zeros(0, np.int64), pa.array([], pa.string()), np.zeros(1, np.int64))


class Detector(Protocol):
    @property
    def name(self) -> str: ...

    def cut(self, texts: pa.StringArray) -> Cut:
        """The texts, and perhaps others, in which something is found. A null holds nothing."""
        ...

    def accepts(self, found: str) -> bool:
        """Whether it is what it looks like."""
        ...


@dataclass(frozen=True, slots=True)
class Matches:
    """What an expression of RE2 matches. `hint` is one that is found sooner, and wherever the other is."""

    name: str
    pattern: str
    hint: str | None = None
    check: Callable[[str], bool] | None = None

    def cut(self, texts: pa.StringArray) -> Cut:
        rows = np.flatnonzero(numpy_bools(pc.match_substring_regex(texts, self.hint or self.pattern)))
        if not len(rows):
            return _NOTHING
        plain = pc.replace_substring(texts.take(pa.array(rows)), _EDGE, _REPLACEMENT)
        marked = pc.replace_substring_regex(plain, self.pattern, rf"{_EDGE}\0{_EDGE}")
        pieces = pc.split_pattern(marked, _EDGE)
        return Cut(rows, pieces.flatten(), pieces.offsets.to_numpy().astype(np.int64))

    def accepts(self, found: str) -> bool:
        # An expression may find nothing at a place, `\b` at each word's edge: there is nothing to be replaced.
        return found != "" and (self.check is None or self.check(found))


class Cards:
    """Payment card numbers; see `kernels.cards` for what is one."""

    name = "card"

    def cut(self, texts: pa.StringArray) -> Cut:
        starts, _ = find_cards(texts)
        rows = np.unique(np.searchsorted(_offsets(texts), starts, "right") - 1)
        rows = rows[numpy_bools(texts.is_valid())[rows]]
        if not len(rows):
            return _NOTHING
        hits = texts.take(pa.array(rows))
        starts, ends = find_cards(hits)
        offsets = _offsets(hits)
        row_of = np.searchsorted(offsets, starts, "right") - 1
        before = np.zeros(len(hits) + 1, np.int64)
        np.cumsum(np.bincount(row_of, minlength=len(hits)) * 2 + 1, out=before[1:])
        # Each piece ends where a card starts or ends, the last one of a text where the text does.
        bounds = np.empty(int(before[-1]) + 1, np.int32)
        inner = np.ones(len(bounds), bool)
        inner[before] = False
        bounds[before] = offsets
        bounds[inner] = np.stack([starts, ends], axis=1).ravel()
        pieces = pa.StringArray.from_buffers(len(bounds) - 1, pa.py_buffer(bounds), hits.buffers()[2])
        return Cut(rows, pieces, before)

    def accepts(self, found: str) -> bool:
        return True


def _offsets(texts: pa.StringArray) -> Integers:
    """Where the texts begin and end, counted from where the first begins."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, 4 * texts.offset)
    return offsets.astype(np.int64) - np.int64(offsets[0])


def _is_ipv6(text: str) -> bool:
    """The expression only looks for hexadecimal digits and colons: a clock time has these as well."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
_HEX = "[0-9A-Fa-f]{1,4}"

_TOKEN = r"[A-Za-z0-9_-]"
_LETTER = r"[\p{Latin}0-9]"

DETECTORS: dict[str, Sequence[Detector]] = {
    "card": (Cards(),),
    "token": (
        # RFC 7519: three parts in base64url, of which two are JSON objects. Apart from the others: in one expression,
        # a first part without an end would be gone through anew for each key within it.
        Matches("token", rf"\beyJ{_TOKEN}{{5,}}\.eyJ{_TOKEN}{{2,}}\.{_TOKEN}*", hint=r"\.eyJ"),
        Matches(
            "token",
            "|".join(
                (
                    # RFC 6750 and RFC 7617, in a header or in what quotes one.
                    r"(?i:\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/-]{8,}=*",
                    # Credentials in a URL (RFC 3986, 3.2.1); Redis is given a password alone.
                    r"://[^\s/:@\"']*:[^\s/@\"']+@",
                    # Keys that say by their beginning whose they are: AWS, GitHub, GitLab, Slack, Google, Stripe.
                    r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b",
                    r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20,})",
                    r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
                    r"\bAIza[A-Za-z0-9_-]{35}",
                    r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
                    r"(?i:\baws_?secret_?access_?key\\?[\"']?\s*[=:]\s*\\?[\"']?)[A-Za-z0-9/+]{40}",
                    # RFC 7468, and the headers of an encrypted one (RFC 1421, 4.6); line ends may be escaped.
                    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[A-Za-z0-9+/=:,\s]|-[A-Za-z0-9]|\\[nr])*"
                    r"(?:-----END [A-Z ]*PRIVATE KEY-----)?",
                )
            ),
            hint=(
                r"(?i:earer|asic)\s|://|A(?:KIA|SIA|ROA|IDA|Iza)|gh[pousr]_|github_pat_|glpat-|xox|k_(?:live|test)_"
                r"|(?i:secret_?access)|PRIVATE KEY"
            ),
        ),
    ),
    "email": (
        Matches(
            "email",
            # In a URL's query the @ is written %40.
            rf"[\p{{Latin}}0-9_][\p{{Latin}}0-9._%+'-]*(?:@|%40)(?:{_LETTER}[\p{{Latin}}0-9-]*\.)+[A-Za-z]{{2,}}",
            hint="@|%40",
        ),
    ),
    "ipv6": (
        Matches(
            "ipv6",
            # It stands between what is no word, also where it begins or ends with colons.
            rf"\b{_HEX}:(?:[0-9A-Fa-f]{{0,4}}:){{1,6}}(?:(?:{_IPV4}|{_HEX})\b|:?\B)"
            rf"|\B::(?:{_HEX}:){{0,6}}(?:{_IPV4}|{_HEX})\b",
            hint=":[0-9A-Fa-f:]",
            check=_is_ipv6,
        ),
    ),
    "ipv4": (Matches("ipv4", rf"\b{_IPV4}\b", hint=r"\.[0-9]{1,3}\."),),
}
"""In the order in which they look: what is in a token or an address is not looked for alone."""


def replace_by_name(name: str, found: str) -> str:
    """Action `drop`."""
    return f"[{name}]"


def mask(name: str, found: str) -> str:
    """Action `mask`: the last four characters stay, of a short text none."""
    stays = _STAYS_MAX if len(found) >= _MASKED_MIN else 0
    return "*" * (len(found) - stays) + found[len(found) - stays :]


def hashing(key: bytes) -> Replace:
    """Action `hash`: an HMAC-SHA256 (RFC 2104), cut short. A card's blanks and dashes do not count."""

    def replace(name: str, found: str) -> str:
        text = found.replace(" ", "").replace("-", "") if name == Cards.name else found
        return f"[{name}:{hmac.digest(key, text.encode(), hashlib.sha256).hex()[:HASH_HEX_DIGITS]}]"

    return replace


@dataclass(frozen=True, slots=True)
class Redact:
    """`fields` empty: everywhere."""

    detectors: Sequence[Detector]
    replace: Replace
    fields: Sequence[str] = ()

    def apply(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """All texts are looked at together: an expression is compiled once for a batch, and not once for a column."""
        columns = [name for name in TEXT_COLUMNS if not self.fields or name in self.fields]
        columns = [name for name in columns if events.column(name).null_count < events.num_rows]
        entries = attributes_of(events)
        places = self._places(entries)
        values = entries.values.take(pa.array(places))
        names = entries.keys.dictionary_encode()
        parts = [*(events.column(name) for name in columns), values, *([] if self.fields else [names.dictionary])]
        texts = pa.concat_arrays(parts)
        redacted = self.texts(texts)
        if redacted is texts:
            return events
        ends = np.cumsum([len(part) for part in parts]).tolist()
        done = [redacted.slice(end - len(part), len(part)) for end, part in zip(ends, parts, strict=True)]
        events = with_columns(events, dict(zip(columns, done, strict=False)))
        values = put_in(entries.values, done[len(columns)], places)
        if self.fields or done[-1].equals(names.dictionary):
            return with_attributes(events, Entries(entries.rows, entries.keys, values))
        return with_attributes(events, _distinct(Entries(entries.rows, done[-1].take(names.indices), values)))

    def texts(self, texts: pa.StringArray) -> pa.StringArray:
        """Texts without a regard to fields; the same object when nothing was found."""
        for detector in self.detectors if len(texts) else ():
            texts = self._without(detector, texts)
        return texts

    def _places(self, entries: Entries) -> Integers:
        """The attributes whose values are looked at."""
        if not self.fields:
            return np.arange(len(entries.rows))
        names = [name for field in self.fields if (name := attribute_name(field)) is not None]
        return np.flatnonzero(numpy_bools(pc.is_in(entries.keys, pa.array(names, pa.string()))))

    def _without(self, detector: Detector, texts: pa.StringArray) -> pa.StringArray:
        cut = detector.cut(texts)
        sizes = np.diff(cut.before)
        if not (sizes > 1).any():
            return texts
        row_of = np.repeat(np.arange(len(cut.rows)), sizes)
        found = np.flatnonzero((np.arange(len(cut.pieces)) - cut.before[row_of]) % 2 == 1)
        distinct = cut.pieces.take(pa.array(found)).dictionary_encode()
        replaced = [
            self.replace(detector.name, text) if detector.accepts(text) else text
            for text in distinct.dictionary.to_pylist()
        ]
        pieces = put_in(cut.pieces, pa.array(replaced, pa.string()).take(distinct.indices), found)
        lists = pa.ListArray.from_arrays(pa.array(cut.before.astype(np.int32)), pieces)
        hit = np.flatnonzero(sizes > 1)
        return put_in(texts, pc.binary_join(lists, "").take(pa.array(hit)), cut.rows[hit])


def _distinct(entries: Entries) -> Entries:
    """Names that were different and are equal now get a number, so that no value is lost."""
    names = entries.keys.dictionary_encode()
    identities = entries.rows * len(names.dictionary) + names.indices.to_numpy()
    _, first, which, counts = np.unique(identities, return_index=True, return_inverse=True, return_counts=True)
    if len(first) == len(identities):
        return entries
    rank = np.empty(len(identities), np.int64)
    rank[np.argsort(which, kind="stable")] = np.arange(len(identities)) - np.repeat(
        np.cumsum(counts) - counts, counts
    )
    again = np.flatnonzero(rank)
    numbers = pa.array(rank[again] + 1).cast(pa.string())
    numbered = pc.binary_join_element_wise(entries.keys.take(pa.array(again)), numbers, "~")
    # Who sends `[card]~2` beside two cards for names loses one of the three.
    return first_of_equal_keys(Entries(entries.rows, put_in(entries.keys, numbered, again), entries.values))
