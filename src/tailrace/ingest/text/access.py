"""Access logs of web servers: the Common Log Format and the combined one (Apache `mod_log_config`, nginx)."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.ingest.text.columns import Columns, or_null

_QUOTED = r"(?:[^\"\\]|\\.)*"
ACCESS_PATTERN = (
    r"^\ufeff?(?:(?P<vhost>\S+) )?(?P<remote>\S+) \S+ (?P<user>\S+|\"[^\"]*\") \[[^\]]+\] "
    rf"\"(?:(?P<method>[A-Z]+) (?P<path>\S+)(?: (?P<protocol>[^\"\s]+))?|{_QUOTED})\" "
    rf"(?P<status>\d{{3}}) (?P<bytes>\d+|-)(?: \"(?P<referer>{_QUOTED})\" \"(?P<user_agent>{_QUOTED})\")?"
).replace(r"\ufeff", "\ufeff")
_COMPILED = re.compile(ACCESS_PATTERN, re.ASCII)

_ATTRIBUTES = ("vhost", "remote", "user", "method", "path", "protocol", "status", "bytes", "referer", "user_agent")


def looks_like_access(line: str) -> bool:
    return _COMPILED.match(line) is not None


def read_access(lines: pa.StringArray) -> Columns:
    """The level follows the status: 5xx is ERROR, 4xx is WARN, others INFO."""
    found = pc.extract_regex(lines, ACCESS_PATTERN)
    status = found.field("status")
    level = pc.if_else(pc.starts_with(status, "5"), "ERROR", pc.if_else(pc.starts_with(status, "4"), "WARN", "INFO"))
    return Columns(
        level=pc.if_else(found.is_valid(), level, None),
        attributes={name: or_null(pc.if_else(found.is_valid(), found.field(name), None)) for name in _ATTRIBUTES},
    )
