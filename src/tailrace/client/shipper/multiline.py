"""Which lines belong together: stack traces found by themselves, or events that begin where a pattern says.

Each line that may be part of a stack trace gets a letter, all others `o`; the grammar of each language's traces is
then one regular expression over these letters. Ordinary lines are only looked at by RE2, all at once.

    2025-03-28 ERROR broke          o     the event's first line
    java.lang.Error: broke          x
    \tat shop.Cart.add(Cart.java)   j
    Caused by: java.lang.Error      C
    2025-03-28 INFO on              o     the next event
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

GROUP_LINES_MAX = 1000
"""A trace of a deep recursion has about a thousand lines; what is longer is told in several events."""

GROUP_BYTES_MAX = 512 << 10
"""Half of what one event may have (ingest.line_bytes_max), so that the line that passes it still fits."""

# How far back a trace may reach whose last lines are still to come.
_UNSETTLED_GROUPS_MAX = 8

_CLASSES = (
    # Python; `U` is indented, as in exception groups.
    ("T", r"Traceback \(most recent call last\):"),
    ("U", r"\s+(?:[|+] ?)*(?:Exception Group )?Traceback \(most recent call last\):"),
    ("d", r"(?:During handling of the above exception, another|The above exception was the direct cause of)"),
    # Java, .NET, Node
    ("j", r"\s+at \S|\s*\.\.\. \d+ (?:more|common frames omitted)"),
    ("k", r"\s*---> |\s*--- End of "),
    ("C", r"\s*(?:Caused by|Suppressed|Wrapped by): "),
    ("X", r"Exception in thread |Unhandled [Ee]xception|Uncaught "),
    ("x", r"(?:[\w$]+\.)*[\w$]*(?:Exception|Error|Throwable)(?:$|[:\s(\[])|(?:[a-z_][\w$]*\.)+[A-Z][\w$]*(?:: |$)"),
    ("n", r"(?:file://|node:|/)\S+:\d+$"),
    ("c", r"\s*\^+\s*$"),
    ("v", r"Node\.js v\d"),
    ("b", r"[}\])]+$"),
    # Go
    ("P", r"panic: |fatal error: |SIG[A-Z]+: |unexpected fault address "),
    ("q", r"\[signal |exit status \d"),
    ("G", r"goroutine \d+ .*\]:$"),
    # Rust; since 1.73 the message stands on the next line.
    ("S", r"thread '[^']*'.{0,30}? panicked at .*:$"),
    ("R", r"thread '[^']*'.{0,30}? panicked at "),
    ("N", r"note: "),
    ("B", r"stack backtrace:$"),
    ("e", r"\s*$"),
    ("i", r"\s"),
)
_CLASS = re.compile("|".join(f"(?P<{letter}>{pattern})" for letter, pattern in _CLASSES))
_CANDIDATE = f"^(?:{'|'.join(pattern for _, pattern in _CLASSES)})"

# The frames of Go look like any call; they are looked for only where a goroutine is.
_GO_FRAME = r"^(?:[^\s()]*(?:\([^\s()]*\)[^\s()]*)*\(.*\)$|created by |\.\.\.additional frames elided)"

_INDENTED = "[ijkcCU]"
_PYTHON = rf"(?:T{_INDENTED}*[^e]|U{_INDENTED}*)"
_TRACES = re.compile(
    "|".join(
        (
            rf"o?{_PYTHON}(?:e?de?{_PYTHON})*",
            r"n[^n]c?e?[xXo](?:[ij]+b?)?(?:ev)?",
            r"(?:P[qioe]{0,6}?|o)?G(?:[gijG]|e(?=G))*(?:e?q)?",
            r"(?:S[oxi]{1,5}?(?=[NB])|S[oxi]|R)(?:N|B[ij]*)*",
            r"(?:o?x|X)i{0,3}?[jkC][jkCi]*(?:(?<=i)b)?",
        )
    )
)


@dataclass(frozen=True, slots=True)
class Joining:
    """How lines are joined to events. `start` is a pattern (RE2) that an event's first line has; None: stack traces
    are found by themselves. With `off`, each line is an event.
    """

    start: str | None = None
    off: bool = False


@dataclass(frozen=True, slots=True)
class Groups:
    """`starts`: whether a line begins an event; the first always does. From row `unsettled` on, what comes after the
    last line may still change it: equal to the number of lines when nothing may.
    """

    starts: Flags
    unsettled: int


def group_lines(texts: pa.StringArray, joining: Joining) -> Groups:
    """The groups of lines that follow one another in one stream."""
    rows = len(texts)
    if joining.off or not rows:
        return Groups(np.ones(rows, bool), rows)
    if joining.start is not None:
        starts = np.asarray(pc.match_substring_regex(texts, joining.start)).copy()
        starts[0] = True
        return Groups(_bounded(starts, texts), int(np.flatnonzero(starts)[-1]))
    letters = _letters(texts)
    if letters is None:
        return Groups(np.ones(rows, bool), rows - 1)
    starts = ~np.isin(np.frombuffer(letters, np.uint8), np.frombuffer(b"jkC", np.uint8))
    for trace in _TRACES.finditer(letters.decode()):
        starts[trace.start() + 1 : trace.end()] = False
    starts[0] = True
    return Groups(_bounded(starts, texts), _unsettled(starts, letters))


def _letters(texts: pa.StringArray) -> bytes | None:
    """One letter a line; None when all are ordinary."""
    candidate = np.asarray(pc.match_substring_regex(texts, _CANDIDATE))
    if not candidate.any():
        return None
    letters = np.full(len(texts), ord("o"), np.uint8)
    places = np.flatnonzero(candidate)
    found = [_CLASS.match(line) for line in texts.take(pa.array(places)).to_pylist()]
    letters[places] = [ord("o") if each is None else ord(each.lastgroup or "o") for each in found]
    if (letters == ord("G")).any():
        frames = np.asarray(pc.match_substring_regex(texts, _GO_FRAME))
        letters[frames & ((letters == ord("o")) | (letters == ord("x")))] = ord("g")
    return letters.tobytes()


def _unsettled(starts: Flags, letters: bytes) -> int:
    """The last event; when its lines may be the beginning of a trace, also the event that the trace would be of."""
    heads = np.flatnonzero(starts)
    place = len(heads) - 1
    for _ in range(_UNSETTLED_GROUPS_MAX):
        if place == 0 or letters[heads[place]] == ord("o"):
            break
        place -= 1
    return int(heads[place])


def _bounded(starts: Flags, texts: pa.StringArray) -> Flags:
    """With more starts where a group would pass its bounds."""
    heads = np.flatnonzero(starts)
    lines = np.diff(np.append(heads, len(starts)))
    if lines.max() == 1:
        return starts
    sizes = np.asarray(pc.binary_length(texts)).astype(np.int64)
    before = np.concatenate(([0], np.cumsum(sizes)))
    first = np.repeat(heads, lines)
    row = np.arange(len(starts))
    part = (row - first) // GROUP_LINES_MAX + ((before[:-1] - before[first]) // GROUP_BYTES_MAX)
    more: Flags = np.diff(part, prepend=0) > 0
    return starts | more


def joined(events: pa.RecordBatch, head_of: Rows) -> pa.RecordBatch:
    """One event a group, in the order of their first lines: what the first line tells, and the messages of all,
    joined by line feeds. `head_of`: the row of each event's first line.
    """
    rows = events.num_rows
    if not rows or (head_of == np.arange(rows)).all():
        return events
    order = np.argsort(head_of, kind="stable")
    heads, first = np.unique(head_of[order], return_index=True)
    offsets = pa.array(np.append(first, rows).astype(np.int32))
    column = events.schema.get_field_index("message")
    messages = events.column(column).take(pa.array(order))
    whole = pc.binary_join(pa.ListArray.from_arrays(offsets, messages), "\n")
    return events.take(pa.array(heads)).set_column(column, events.schema.field(column), whole)


def heads_of(starts: Flags) -> Rows:
    """For each row, the last row up to it that starts a group."""
    return np.maximum.accumulate(np.where(starts, np.arange(len(starts)), 0))
