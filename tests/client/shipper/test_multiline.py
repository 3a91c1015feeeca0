from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.client.shipper.multiline import (
    GROUP_BYTES_MAX,
    GROUP_LINES_MAX,
    Joining,
    group_lines,
    heads_of,
    joined,
)
from tailrace.model.batch import batch_of_rows
from tests.loghub import loghub_file, needs_loghub

BEFORE = "2026-03-28 10:00:00 INFO all is well"
AFTER = "2026-03-28 10:00:01 INFO all is well again"
HEAD = "2026-03-28 10:00:00 ERROR it broke"

TRACES = {
    "java": """\
java.lang.IllegalStateException: no stock
\tat shop.Cart.add(Cart.java:7)
\tat shop.Main.main(Main.java:3)
\tSuppressed: java.io.IOException: closed
\t\tat shop.Pool.close(Pool.java:9)
Caused by: java.sql.SQLException: deadlock
\tat shop.Db.query(Db.java:70)
\t... 12 more""",
    "python": """\
Traceback (most recent call last):
  File "/app/shop.py", line 7, in add
    raise KeyError("stock")
KeyError: 'stock'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/shop.py", line 9, in <module>
    add()
    ~~~^^
shop.errors.NoStock: nothing is left""",
    "python-group": """\
  + Exception Group Traceback (most recent call last):
  |   File "/app/shop.py", line 7, in <module>
  |     raise ExceptionGroup("several", errors)
  | ExceptionGroup: several (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/app/shop.py", line 5, in add
    | ValueError: 1
    +------------------------------------""",
    "go-served": """\
goroutine 19 [running]:
net/http.(*conn).serve.func1()
\t/usr/local/go/src/net/http/server.go:1868 +0xb9
panic({0x6a3b40?, 0x7b1c00?})
\t/usr/local/go/src/runtime/panic.go:920 +0x270
created by net/http.(*Server).Serve in goroutine 1
\t/usr/local/go/src/net/http/server.go:3086 +0x5cb""",
    "dotnet": """\
System.InvalidOperationException: no stock
 ---> System.ArgumentException: bad
   at Shop.Cart.Check(Int32 n) in /src/Cart.cs:line 3
   --- End of inner exception stack trace ---
   at Shop.Cart.Add(Int32 n) in /src/Cart.cs:line 7""",
    "node": """\
TypeError: Cannot read properties of undefined (reading 'stock')
    at add (/app/cart.js:7:11)
    at node:internal/main/run_main_module:23:47 {
  code: 'ERR_STOCK'
}""",
}

ALONE = {
    "java-main": """\
Exception in thread "main" java.lang.Error: no
\tat shop.Main.main(Main.java:3)""",
    "go": """\
panic: assignment to entry in nil map

goroutine 1 [running]:
main.add(...)
\t/app/main.go:7
main.main()
\t/app/main.go:3 +0x2d

goroutine 6 [select]:
main.work(0xc000012345, {0x1, 0x2})
\t/app/work.go:12 +0x11
exit status 2""",
    "rust": """\
thread 'main' panicked at src/main.rs:2:5:
no stock
stack backtrace:
   0: rust_begin_unwind
             at /rustc/abc/library/std/src/panicking.rs:597:5
   1: shop::main
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.""",
    "rust-new": """\
thread 'main' (4711) panicked at src/main.rs:2:5:
no stock
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace""",
    "rust-old": """\
thread 'main' panicked at 'no stock', src/main.rs:2:5
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace""",
    "node-uncaught": """\
/app/cart.js:7
    throw new Error("no stock");
    ^

Error: no stock
    at add (/app/cart.js:7:11)

Node.js v22.1.0""",
    "dotnet-unhandled": """\
Unhandled exception. System.InvalidOperationException: no stock
   at Shop.Program.Main() in /src/Program.cs:line 7""",
}


def events_of(lines: list[str], joining: Joining | None = None) -> list[str]:
    texts = pa.array(lines, pa.string())
    groups = group_lines(texts, joining or Joining())
    batch = batch_of_rows([{"timestamp": 0, "observed_timestamp": 0, "message": line} for line in lines])
    events: list[str] = joined(batch, heads_of(groups.starts)).column("message").to_pylist()
    return events


@pytest.mark.parametrize("name", TRACES)
def test_a_trace_belongs_to_the_line_that_logged_it(name: str) -> None:
    """And neither the line before that nor the one after it does."""
    trace = f"{HEAD}\n{TRACES[name]}"
    assert events_of([BEFORE, *trace.split("\n"), AFTER]) == [BEFORE, trace, AFTER]


@pytest.mark.parametrize("name", ALONE)
def test_a_program_that_dies_tells_one_event(name: str) -> None:
    """What the runtime prints at the end is an event of its own."""
    assert events_of([BEFORE, *ALONE[name].split("\n"), AFTER]) == [BEFORE, ALONE[name], AFTER]


@pytest.mark.parametrize("name", [*TRACES, *ALONE])
def test_a_trace_that_is_not_whole_yet_is_not_settled(name: str) -> None:
    """Cut behind any line, what stands before `unsettled` is the same as when all is there."""
    lines = [BEFORE, HEAD, *(TRACES | ALONE)[name].split("\n"), AFTER]
    whole = group_lines(pa.array(lines), Joining()).starts
    for count in range(1, len(lines)):
        part = group_lines(pa.array(lines[:count]), Joining())
        assert part.unsettled < count
        assert (part.starts[: part.unsettled] == whole[: part.unsettled]).all()
        assert whole[part.unsettled]


def test_lines_that_only_look_a_little_like_traces_stay_alone() -> None:
    """Indented lines, names of exceptions, calls and empty lines are ordinary in many logs."""
    lines = [BEFORE, "  indented", "Error: no", "main.add(7)", "", "note: this", "}", "java.lang.Error: x", AFTER]
    assert events_of(lines) == lines


def test_a_line_that_begins_a_trace_again_and_again_is_looked_at_once() -> None:
    """A user's words in a log; tried from each place in the line it would take minutes."""
    line = "thread 'main' " + "panicked at " * 80_000
    assert events_of([line, AFTER]) == [line, AFTER]


def test_two_traces_in_a_row_are_two_events() -> None:
    """An exception behind the frames of another begins anew."""
    trace = ["java.lang.Error: a", "\tat x.Y.z(Y.java:1)"]
    assert events_of(trace + trace) == ["\n".join(trace)] * 2


def test_a_pattern_says_where_events_begin() -> None:
    """All lines up to the next that it matches belong together; the first line begins one in any case."""
    lines = ["rest", "# one", "a", "", "# two", "# three", "b"]
    assert events_of(lines, Joining(start="^#")) == ["rest", "# one\na\n", "# two", "# three\nb"]
    assert group_lines(pa.array(lines), Joining(start="^#")).unsettled == 5
    assert events_of(lines, Joining(off=True)) == lines


def test_an_endless_trace_is_told_in_parts() -> None:
    """By number of lines and by bytes."""
    lines = [HEAD, *["\tat x.Y.z(Y.java:1)"] * (2 * GROUP_LINES_MAX)]
    assert max(event.count("\n") for event in events_of(lines)) < GROUP_LINES_MAX
    long = [HEAD, *[f"\tat {'x' * 100_000}"] * 30]
    assert max(map(len, events_of(long))) <= GROUP_BYTES_MAX + 100_100
    assert "\n".join(events_of(long)) == "\n".join(long)


def plain_groups(lines: list[str], start: str) -> list[list[str]]:
    """The oracle: line by line."""
    groups: list[list[str]] = []
    for line in lines:
        if not groups or re.search(start, line):
            groups.append([])
        groups[-1].append(line)
    return groups


@given(st.lists(st.sampled_from(["#", "# a", "b", "", " c", "d #"]), min_size=1, max_size=30))
def test_joined_by_a_pattern_they_are_as_when_read_line_by_line(lines: list[str]) -> None:
    """Against a plain loop."""
    assert events_of(lines, Joining(start="^#")) == ["\n".join(group) for group in plain_groups(lines, "^#")]


_PIECES = st.sampled_from(
    [*(f"{HEAD}\n{trace}" for trace in TRACES.values()), BEFORE, AFTER, "plain words", *ALONE.values()]
)


@given(st.lists(_PIECES, min_size=1, max_size=8))
def test_any_mixture_of_traces_and_lines_is_taken_apart_again(pieces: list[str]) -> None:
    """Each trace behind a line that logged it or by itself, ordinary lines between and around them."""
    parts: list[str] = []
    for piece in pieces:
        parts += [BEFORE, piece, AFTER]
    assert events_of("\n".join(parts).split("\n")) == parts


@given(st.lists(st.integers(0, 4), min_size=1, max_size=20))
def test_interleaved_groups_are_joined_in_the_order_of_their_heads(groups: list[int]) -> None:
    """`joined` against a dictionary of lists."""
    rows = [f"line {row}" for row in range(len(groups))]
    expected: dict[int, list[str]] = {}
    for row, group in zip(rows, groups, strict=True):
        expected.setdefault(group, []).append(row)
    heads = np.array([groups.index(group) for group in groups])
    batch = batch_of_rows([{"timestamp": 0, "observed_timestamp": 0, "message": line} for line in rows])
    assert joined(batch, heads).column("message").to_pylist() == ["\n".join(lines) for lines in expected.values()]


@needs_loghub
@pytest.mark.parametrize("system", ["Zookeeper", "Hadoop", "Spark", "Linux", "Apache", "HDFS"])
def test_real_logs_lose_no_line(system: str) -> None:
    """Joined with line feeds the events are the file's lines again, and each begins as lines of this file do."""
    lines = loghub_file(system).read_text("utf-8", "replace").splitlines()
    events = events_of(lines)
    assert "\n".join(events).split("\n") == lines
    assert not any(re.match(r"\s+at |Caused by: |\s*\.\.\. \d+ more", event) for event in events[1:])
