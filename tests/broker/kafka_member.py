"""A member of a group in a process of its own, to be killed and paused: `python kafka_member.py URL`.

Prints a line for everything that happens to it: `assigned 0 1`, `revoked 0`, `lost 0 1`, `committed 0 17`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping

from tailrace.broker.kafka import KafkaLog
from tailrace.broker.port import LogRecord
from tailrace.config import KafkaSettings, LogSettings
from tailrace.model.clock import system_clock_us


def say(*words: object) -> None:
    print(*words, flush=True)


class Said:
    def assigned(self, committed: Mapping[int, int]) -> Mapping[int, int]:
        say("assigned", *committed)
        return {}

    def revoked(self, partitions: Collection[int], *, lost: bool) -> None:
        say("lost" if lost else "revoked", *partitions)


def main() -> None:
    log = KafkaLog(sys.argv[1], kafka=KafkaSettings(), log=LogSettings(), groups=(), clock=system_clock_us)
    reader = log.reader("g", Said())
    while True:
        for item in reader.poll(bytes_max=1, timeout_s=0.2):
            assert isinstance(item, LogRecord)
            reader.commit({item.partition: item.offset + 1})
            say("committed", item.partition, item.offset + 1)


if __name__ == "__main__":
    main()
