"""How the newest events lie in Redis: keys, entries, and the script that appends. No I/O.

    tailrace:{NAME}:hot               hash    `bytes`: of all entries; `next:PARTITION`: the next offset it lacks
    tailrace:{NAME}:hot:PARTITION     stream  one entry for some log records, id `NEXT-0`, see `Entry`
    tailrace:{NAME}:hot:order         list    `PARTITION ID BYTES TIME_MS` of every entry, the oldest first

The braces put all keys into one slot of a Redis cluster, as the script needs them together. docs/formats/hot-redis.md
says the same for people with redis-cli.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tailrace.model.batch import decode_batch, encode_batch, join_batches

_BYTES = b"bytes"
_NEXT = b"next:"
_ARROW = b"arrow"
# How much of the newest message an entry shows to people.
_NEWEST_CHARACTERS = 160

APPEND = """
-- KEYS: the hash, the list, then the stream of each entry.
-- ARGV: now, age, bytes_max, expire_s, then for each entry: partition, first, next, rows, newest, payload.
-- Answers the bytes of all entries, then for each entry '' when it was appended, or the offset that is reached.
local state, order = KEYS[1], KEYS[2]
local now, age, bytes_max, expire_s = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local bytes = tonumber(redis.call('HGET', state, 'bytes') or '0')

-- Redis may push out one key and keep another (maxmemory-policy). Without a count there is no bound: begin anew.
if (bytes > 0) ~= (redis.call('EXISTS', order) == 1) then
  redis.call('DEL', state, order)
  bytes = 0
end

local answer = {}
for i = 3, #KEYS do
  local stream, at = KEYS[i], 4 + (i - 3) * 6
  local partition, first, next = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local reached = redis.call('HGET', state, 'next:' .. partition)
  if reached and tonumber(reached) > tonumber(first) then
    answer[i - 1] = reached
  else
    if not reached then
      redis.call('DEL', stream)  -- Nobody counts what is in there.
    end
    local size = #ARGV[at + 6] + 256
    redis.call('XADD', stream, next .. '-0', 'rows', ARGV[at + 4], 'first', first, 'time_ms', ARGV[1],
               'newest', ARGV[at + 5], 'arrow', ARGV[at + 6])
    redis.call('HSET', state, 'next:' .. partition, next)
    redis.call('RPUSH', order, partition .. ' ' .. next .. '-0 ' .. size .. ' ' .. ARGV[1])
    redis.call('EXPIRE', stream, expire_s)
    bytes = bytes + size
    answer[i - 1] = ''
  end
end

while true do
  local oldest = redis.call('LINDEX', order, 0)
  if not oldest then break end
  local partition, id, size, time = string.match(oldest, '^(%S+) (%S+) (%S+) (%S+)$')
  if bytes <= bytes_max and tonumber(time) >= now - age then break end
  redis.call('LPOP', order)
  redis.call('XDEL', state .. ':' .. partition, id)
  bytes = bytes - tonumber(size)
end
redis.call('HSET', state, 'bytes', bytes)
redis.call('EXPIRE', state, expire_s)
redis.call('EXPIRE', order, expire_s)
answer[1] = bytes
return answer
"""
"""Compare and append: an entry gets in only when nothing at or above its first offset is there yet.

So a replay, also one in other batches, and a writer that lost its partition without knowing add nothing twice.
"""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one log."""

    name: str

    @property
    def state(self) -> str:
        return f"tailrace:{{{self.name}}}:hot"

    @property
    def order(self) -> str:
        return f"{self.state}:order"

    def stream(self, partition: int) -> str:
        return f"{self.state}:{partition}"

    def partition_of(self, stream: bytes) -> int:
        return int(stream.rsplit(b":", 1)[1])

    def answer(self, key: str) -> str:
        return f"tailrace:{{{self.name}}}:answers:{key}"


@dataclass(frozen=True, slots=True)
class Entry:
    """Rows of one partition in the order of their identities, each once; offsets from `first` to below `next`."""

    partition: int
    rows: pa.RecordBatch

    @property
    def first(self) -> int:
        return int(self.rows["log_offset"][0].as_py())

    @property
    def next(self) -> int:
        return int(self.rows["log_offset"][-1].as_py()) + 1

    def above(self, reached: int) -> Entry | None:
        """The rows at or above an offset; None when there are none."""
        start = int(np.searchsorted(self.rows["log_offset"].to_numpy(), reached))
        return Entry(self.partition, self.rows.slice(start)) if start < self.rows.num_rows else None

    def arguments(self) -> Iterator[bytes | int | str]:
        """What APPEND wants to know of it."""
        yield from (self.partition, self.first, self.next, self.rows.num_rows, self._newest())
        yield encode_batch(self.rows)

    def _newest(self) -> str:
        level, service, message = (self.rows[name][-1].as_py() for name in ("level", "service", "message"))
        return " ".join(filter(None, (level, service, message[:_NEWEST_CHARACTERS])))


def entries_of(batches: Sequence[pa.RecordBatch]) -> list[Entry]:
    """One entry for each partition in the batches (STORED_SCHEMA)."""
    rows = join_batches([batch for batch in batches if batch.num_rows], batches[0].schema)
    if rows.num_rows == 0:
        return []
    partitions = rows["log_partition"].to_numpy()
    if (partitions == partitions[0]).all():
        return [Entry(int(partitions[0]), _in_order(rows))]
    found = np.unique(partitions).tolist()
    return [Entry(partition, _in_order(rows.filter(pa.array(partitions == partition)))) for partition in found]


def _in_order(rows: pa.RecordBatch) -> pa.RecordBatch:
    offsets = rows["log_offset"].to_numpy()
    numbers = rows["log_row"].to_numpy()
    rises = (offsets[1:] > offsets[:-1]) | ((offsets[1:] == offsets[:-1]) & (numbers[1:] > numbers[:-1]))
    if rises.all():
        return rows
    order = np.lexsort((numbers, offsets))
    offsets, numbers = offsets[order], numbers[order]
    fresh = np.concatenate(([True], (offsets[1:] != offsets[:-1]) | (numbers[1:] != numbers[:-1])))
    return rows.take(pa.array(order[fresh]))


def decode_entry(fields: Mapping[bytes, bytes]) -> pa.RecordBatch:
    """The rows of a stream's entry. Raises `KeyError` or `pyarrow.ArrowInvalid` for what is none."""
    return decode_batch(fields[_ARROW])


def next_offsets(state: Mapping[bytes, bytes]) -> dict[int, int]:
    """From the hash: for each partition the next offset that Redis lacks."""
    return {int(key[len(_NEXT) :]): int(value) for key, value in state.items() if key.startswith(_NEXT)}
