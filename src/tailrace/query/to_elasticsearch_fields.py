"""Fields and bounds of the documents that Elasticsearch's queries are written for.

`store.elasticsearch.mapping` tells all of them. What has passed a bound is not wholly in the index; the document is
then `partial`.
"""

from __future__ import annotations

import struct

PARTIAL = "partial"
NAMES = "attribute_names"
PAIRS = "attribute_pairs"
NUMBERS = "attribute_numbers"
OTHER_TEXT = "other_text"
"""The words of `service`, `host`, the ids and the attributes' values."""

PAIR_SIGN = "="
"""Ends the name in PAIRS and NUMBERS; an attribute with it in its name makes a document partial."""
PAIR_SIGN_NEXT = ">"
"""The character that follows it, which is where the pairs of a name end."""

TOKEN_CHARACTERS_MAX = 999
"""A longer token is cut: the automaton that cuts must count the characters, one state for each."""
VALUE_BYTES_MAX = 8_191
"""Of a keyword: so many characters fit into a term of 32,766 bytes, whatever they are. We count bytes, to be sure."""
OBSERVED_US_MAX = 9_223_372_036_854_775
"""The end of the type `date_nanos`, in 2262; it begins in 1970."""
REGEX_CHARACTERS_MAX = 65_536
"""Of a regular expression that a server takes: the longest value, of which each letter becomes a class of four."""


def number_key(value: float) -> str:
    """A text in the order of numbers: the bits of the 64-bit float in hexadecimal, without zeros at the end.

    The bits come in the numbers' own order when the sign is turned about (all bits for numbers below zero), as in
    Lucene's `NumericUtils.doubleToSortableLong`. Zeros at the end say nothing to that order: 250 is `c06f4`.
    """
    (bits,) = struct.unpack(">Q", struct.pack(">d", value + 0.0))  # adding zero makes one zero of the two
    ordered = ~bits & 0xFFFF_FFFF_FFFF_FFFF if bits >> 63 else bits | 1 << 63
    return f"{ordered:016x}".rstrip("0")
