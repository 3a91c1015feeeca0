"""What the servers of the stories hold."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import orjson

from tailrace.client.demo_events import DemoEvents, to_ndjson
from tests.loghub import LOGHUB
from tests.server import Server

HOUR_US = 3_600_000_000

BELL, NUL, ESCAPE, RIGHT_TO_LEFT = "\x07", "\x00", "\x1b", "\u202e"

HOSTILE = {
    "script": "<script>alert(1)</script><img src=x onerror=alert(2)> hostile",
    "ansi": f"{ESCAPE}[31mred{ESCAPE}[0m {ESCAPE}]0;title{BELL} hostile",
    "rtl": f"hostile {RIGHT_TO_LEFT}gnp.exe \u0627\u0644\u0639\u0631\u0628\u064a\u0629 behind it",
    "long": "hostile " + "x" * 1_000_000,
    "emoji": "hostile 😀👩‍👩‍👧‍👦🏳️‍🌈 e\u0301",
    "nul": f"hostile {NUL}between{NUL} zeros",
}
"""What an attacker, or a broken program, may write into a log; by what it tries."""


def send(server: Server, body: bytes) -> None:
    status, answer = server.post_logs(body)
    assert (status, answer["rejected"]) == (202, 0), answer


def send_recent(server: Server, events: int, *, seed: int = 7, last_us: int = HOUR_US) -> None:
    """Events of a shop that went on until now, each with a trace, attributes and now and then a stack trace."""
    now_us = time.time_ns() // 1000
    send(server, to_ndjson(DemoEvents(seed).batch(events, start_us=now_us - last_us, end_us=now_us)))


def send_loghub(server: Server, *systems: str) -> None:
    """Real log files, two thousand lines each, with the times that stand in their lines."""
    files = [str(LOGHUB / f"{system}_2k.log") for system in systems]
    command = [sys.executable, "-m", "tailrace", "send", *files]
    sent = subprocess.run(command, env={"TAILRACE_URL": server.url, "PATH": ""}, capture_output=True, text=True)
    assert sent.returncode == 0, sent.stderr


def send_hostile(server: Server) -> None:
    lines = [
        orjson.dumps(
            {
                "message": text,
                "level": "WARN",
                "service": "hostile",
                "tried": tried,
                f"key <marquee>{tried}": text[:99],
            }
        )
        for tried, text in HOSTILE.items()
    ]
    send(server, b"\n".join(lines))


def send_broken(server: Server, word: str) -> None:
    """One line that is no JSON and one that is: the first becomes a dead letter, and is mended by one brace."""
    status, answer = server.post_logs(
        b'{"message": "%s was mended"\n{"message": "%s is whole"}\n' % ((word.encode(),) * 2)
    )
    assert (status, answer["rejected"]) == (202, 1), answer


@contextmanager
def coming(server: Server, events_per_s: int) -> Iterator[None]:
    """Events of the made-up shop come in all the while, from a process of its own."""
    command = [sys.executable, "-m", "tailrace", "generate", "--url", server.url, "--rate", str(events_per_s)]
    generator = subprocess.Popen([*command, "--no-bursts"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        generator.terminate()
        generator.wait()
