"""Which log, and the dead letters and claims that go with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tailrace.broker.kafka import KafkaLog
from tailrace.broker.kafka_url import letters_url, parse_kafka_url
from tailrace.broker.port import Log
from tailrace.broker.sqlite import SqliteLog
from tailrace.config import KafkaSettings, LogSettings
from tailrace.errors import Stop
from tailrace.serve.places import Letters
from tailrace.store.dead_letters import DeadLetterFigures, DeadLetters
from tailrace.store.ledger import Ledger
from tailrace.store.port import Claims, DeadLetterBox
from tailrace.wiring.opening import Opening


class LettersAndClaims(Letters, DeadLetterBox, Claims, Protocol):
    """The dead letters and the claims of one log: for people, for the worker, and for the gateway's replays."""

    def figures(self) -> DeadLetterFigures: ...

    def newest_documents(self, limit: int) -> Sequence[bytes]: ...

    def close(self) -> None: ...


def is_shared(settings: LogSettings) -> bool:
    """Whether processes can share the log. Raises `Stop` for a URL of no known kind."""
    kind = settings.url.partition("://")[0]
    if kind not in ("sqlite", "kafka"):
        raise Stop(f"log.url = {settings.url!r}: a log is sqlite:// or kafka://HOST:PORT/TOPIC")
    return kind == "kafka"


def log_name(settings: LogSettings) -> str:
    """What tells this log from others: the topic's name."""
    return parse_kafka_url(settings.url).topic if is_shared(settings) else "logs"


def open_log(opening: Opening, groups: Sequence[str]) -> Log:
    """The log that `groups` read. Raises `Stop`."""
    settings = opening.settings
    if is_shared(settings.log):
        return opening.opened(open_kafka(opening, settings.log.url, settings.kafka, groups))
    path = opening.data / "log.db"
    log = opening.opened(SqliteLog(path, settings=settings.log, clock=opening.clock, metrics=opening.metrics))
    log.keep_groups(groups)
    return log


def open_letters(opening: Opening) -> LettersAndClaims:
    """The dead letters and claims: a file beside an embedded log, a topic beside that of a shared one."""
    settings = opening.settings
    letters = opening.opened(
        DeadLetters(
            opening.data / "dead_letters.db",
            bytes_max=settings.dead_letters.bytes_max,
            window_s=settings.ingest.idempotency_window_s,
            clock=opening.clock,
        )
    )
    opening.metrics.dead_letters_pushed_out.set_function(lambda: letters.figures().pushed_out)
    if not is_shared(settings.log):
        return letters
    one_partition = settings.kafka.model_copy(update={"partitions": 1})
    # For ever, so that a process that starts anew finds every letter; and no more than twice what each may keep.
    forever = {"retention.ms": "-1", "retention.bytes": str(2 * settings.dead_letters.bytes_max)}
    topic = opening.opened(open_kafka(opening, letters_url(settings.log.url), one_partition, (), forever))
    return opening.opened(
        opening.patiently(
            "dead letters", lambda: Ledger(topic, letters, clock=opening.clock, metrics=opening.metrics)
        )
    )


def open_kafka(
    opening: Opening,
    url: str,
    kafka: KafkaSettings,
    groups: Sequence[str],
    topic_config: Mapping[str, str] | None = None,
) -> KafkaLog:
    """The topic of `url`, made with `topic_config` where it is not there yet. Raises `Stop`."""
    return opening.patiently(
        "log",
        lambda: KafkaLog(
            url,
            kafka=kafka,
            log=opening.settings.log,
            groups=groups,
            clock=opening.clock,
            metrics=opening.metrics,
            topic_config=topic_config,
        ),
    )
