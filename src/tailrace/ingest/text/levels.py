"""Where lines carry their level, and which words are levels there.

A word is a level by its place. "no error found" has none: the words before it are prose. So either all lines of a
file have a level in one column (learnt, see `layout`), or a line has it at the end of its head: behind
nothing but numbers, brackets, names with punctuation and `key=value` pairs, and marked as `[error]`, `ERROR`,
`error:` or `level=error`.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.model.level import level_of

_WORDS = (
    "TRACE|TRC|DEBUG[1-5]?|DBG|INFO|INF|INFORMATION|INFORMATIONAL|NOTICE|NOTE|WARN|WARNING|WRN|ERROR|ERR|"
    "CRITICAL|CRIT|FATAL|FTL|SEVERE|ALERT|EMERG|EMERGENCY|PANIC|VERBOSE|FINE|FINER|FINEST|EROR"
)
_ALONE = f"(?:{_WORDS}|LOG)"
SURE_WORDS = frozenset(_WORDS.replace("[1-5]?", "").split("|")) | {f"DEBUG{n}" for n in range(1, 6)}
"""Words that are seldom anything but a level. Others (OK, HTTP, F) count only in a column that holds these."""

LEVEL_LETTERS = frozenset("TVDIWEF")

SEPARATORS = r"[\s|;,]"

TOKEN = rf"(?:\[(?:[^\[\]]|\[[^\]]*\])*\]:?{SEPARATORS}*|[^\s|;,\[][^\s|;,]*{SEPARATORS}+)"
"""One word of a line's head with what separates it from the next; a pair of brackets is one word."""

AFTER_STAMP = r"[\])>}\"']*[\s|;,:-]*"

COLUMN_OPENING = r"[\[(<{\"'*|=-]*\s*(?:[a-z][a-z0-9_]*[:.]|:)?(?:(?:log)?(?:level|lvl|severity)=)?\"?"
COLUMN_CLOSING = r"\s*[\])>}\"'*]*(?:[:/\s|;,\[(]|$)"

_HEAD_WORD = (
    r"(?:\[(?:[^\[\]]|\[[^\]]*\])*\]:?[\s|;,:-]*"
    r"|(?:\([^)]*\)|<[^>\s]*>|\d\S*|[-=*#>:|~]+|[\w$@/]+[./:@#=_$\\-]\S*)[\s|;,:-]+)"
)
_MARKED = (
    rf"(?:[\[<(|]\s*(?:[a-z0-9_]*[:.])?(?P<bracketed>(?i:{_ALONE}))\s*[\]>)|]"
    rf"|(?P<upper>{_WORDS})(?:[:\s|;,\])>/]|$)"
    rf"|(?P<colon>(?i:{_ALONE})):(?:[\s\[]|$)"
    rf"|(?:\S+ )?(?:kern|user|mail|daemon|auth|authpriv|syslog|cron|local[0-7])\.(?P<facility>(?i:{_WORDS}))\s"
    rf"|\"?(?:log)?(?:level|lvl|severity)\"?[=:]\s?\"?(?P<pair>[A-Za-z]+)"
    r"|(?P<letter>[VDIWEF])/[^\s(:]+\( *\d+\):)"
)
# What a program tells syslog is its own text. It states a level only in a form that is nothing else: sshd's "error:
# Received disconnect" is a sentence about the peer.
_MARKED_BY_PROGRAM = (
    rf"(?:[\[<(|]\s*(?P<bracketed>(?i:{_ALONE}))\s*[\]>)|]"
    rf"|(?P<upper>{_WORDS}):"
    rf"|\"?(?:log)?(?:level|lvl|severity)\"?[=:]\s?\"?(?P<pair>[A-Za-z]+))"
)

_LEVEL_GROUPS = frozenset({"bracketed", "upper", "colon", "facility", "pair", "letter"})

_REDIS = r"^\d+:[A-Z] \d\d [A-Z][a-z]{2} \d{4} [\d:.]+ (?P<mark>[.*#-]) "
_REDIS_MARKS = {".": "DEBUG", "-": "DEBUG", "*": "NOTICE", "#": "WARNING"}


def head_words(lines: pa.StringArray, before: str) -> pa.StringArray:
    """The word of each line that is marked as its level in its head; null where there is none.

    `before` is the pattern of what is passed over first: the time, say.
    """
    return _marked_words(lines, before, _MARKED)


def program_words(lines: pa.StringArray, before: str) -> pa.StringArray:
    """The same for what a program has told syslog; `before` is the pattern of syslog's own head."""
    return _marked_words(lines, before, _MARKED_BY_PROGRAM)


def _marked_words(lines: pa.StringArray, before: str, marked: str) -> pa.StringArray:
    found = pc.extract_regex(lines, f"{before}{AFTER_STAMP}(?:{_HEAD_WORD})*?{marked}")
    groups = [found.field(index) for index in range(found.type.num_fields) if found.type[index].name in _LEVEL_GROUPS]
    words = pc.binary_join_element_wise(*groups, "")
    return pc.if_else(found.is_valid(), words, None)


def redis_words(lines: pa.StringArray) -> pa.StringArray:
    """Redis writes its level as a mark behind the time (redis.conf, `loglevel`); null where it is not Redis."""
    marks = pc.extract_regex(lines, _REDIS).field("mark").dictionary_encode()
    words = pa.array([_REDIS_MARKS.get(mark) for mark in marks.dictionary.to_pylist()], pa.string())
    return words.take(marks.indices)


def word_level(word: str | None) -> str | None:
    """The level of one word in a level's place."""
    if not word:
        return None
    name = word.upper().rstrip("12345") or word
    return "INFO" if name == "NOTE" else level_of(name)


def levels_of(words: pa.StringArray) -> pa.StringArray:
    """`word_level` of each."""
    encoded = words.dictionary_encode()
    known = pa.array([word_level(word) for word in encoded.dictionary.to_pylist()], pa.string())
    return known.take(encoded.indices)
