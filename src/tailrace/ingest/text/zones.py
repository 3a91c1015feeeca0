"""Names and offsets of time zones, as log lines carry them, to seconds east of UTC."""

from __future__ import annotations

import re

ZONE_NAMES: dict[str, int] = {
    name: round(hours * 3600)
    for name, hours in {
        "UTC": 0,
        "GMT": 0,
        "WET": 0,
        "WEST": 1,
        "BST": 1,
        "CET": 1,
        "CEST": 2,
        "MET": 1,
        "MEST": 2,
        "EET": 2,
        "EEST": 3,
        "MSK": 3,
        "IST": 5.5,
        "HKT": 8,
        "SGT": 8,
        "AWST": 8,
        "JST": 9,
        "KST": 9,
        "ACST": 9.5,
        "ACDT": 10.5,
        "AEST": 10,
        "AEDT": 11,
        "NZST": 12,
        "NZDT": 13,
        "BRT": -3,
        "ART": -3,
        "EST": -5,
        "EDT": -4,
        "CST": -6,
        "CDT": -5,
        "MST": -7,
        "MDT": -6,
        "PST": -8,
        "PDT": -7,
        "AKST": -9,
        "AKDT": -8,
        "HST": -10,
    }.items()
}
"""Abbreviations that mean one zone to most who write logs (CST is America's, IST is India's)."""

_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{2}):?(\d{2})?")


def zone_offset_s(text: str) -> int | None:
    """Seconds east of UTC of `Z`, `+02:00`, `-0700`, `+00`, `GMT+0200` or a name; None when it is none of these."""
    if text == "Z":
        return 0
    if text in ZONE_NAMES:
        return ZONE_NAMES[text]
    match = _OFFSET.fullmatch(text)
    if match is None:
        return None
    sign, hours, minutes = match.groups()
    seconds = int(hours) * 3600 + int(minutes or 0) * 60
    return -seconds if sign == "-" else seconds
