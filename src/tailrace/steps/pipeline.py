"""The pipeline: the steps of a file, one after the other, before anything is stored.

pipeline.toml ──read──> settings ──compile──> steps ──apply──> events by their stores
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tailrace.config import IngestSettings
from tailrace.errors import QueryError, Stop, TooLarge
from tailrace.ingest.shape import Shaped
from tailrace.query.lucene import parse
from tailrace.steps.compiling import Compiler, WrongField
from tailrace.steps.fields import with_columns
from tailrace.steps.redact import Redact
from tailrace.steps.settings import PipelineSettings
from tailrace.steps.step import Route, Step

FILE_BYTES_MAX = 1 << 20

# Steps that add fields may make a batch larger than what came in; so many rows at a time, and then a bound, keep a
# hostile body of millions of tiny events from taking all memory.
_ROWS_AT_ONCE = 65_536
SHAPED_BYTES_MAX = 512 << 20

# For each byte that is no UTF-8, as Python decodes it, a character of private use that has hardly ever been seen.
_STAND_INS = {0xDC00 + byte: 0x10FE00 + byte for byte in range(0x80, 0x100)}
_STOOD_IN_FOR = {there: here for here, there in _STAND_INS.items()}

Dropped = Callable[[str, int], None]
"""Told the label of a step, and how many events it has dropped."""


class Pipeline:
    """Implements `ingest.shape.Shape`: pure but for `dropped`, and shared between threads."""

    def __init__(self, steps: Sequence[Step], dropped: Dropped = lambda label, count: None) -> None:
        self.steps = tuple(steps)
        self._dropped = dropped
        self._redacting = [step.work for step in steps if isinstance(step.work, Redact)]

    def uncounted(self) -> Pipeline:
        """The same steps for whoever does the work of another again: what they drop is counted there."""
        return Pipeline(self.steps)

    def apply(self, events: pa.RecordBatch) -> Sequence[Shaped]:
        """What goes on, one batch for each set of stores. Columns behind those of EVENT_SCHEMA stay as they are.

        Raises `TooLarge` when the steps make more than SHAPED_BYTES_MAX of it; nothing is dropped or counted then.
        """
        parts: dict[frozenset[str] | None, list[pa.RecordBatch]] = {}
        dropped: dict[str, int] = {}
        size = 0
        for first in range(0, events.num_rows, _ROWS_AT_ONCE):
            for stores, batch in self._applied(events.slice(first, _ROWS_AT_ONCE), dropped):
                parts.setdefault(stores, []).append(batch)
                size += batch.nbytes
            if size > SHAPED_BYTES_MAX:
                raise TooLarge(
                    f"the pipeline makes more than {SHAPED_BYTES_MAX:,} bytes of these events; send fewer at once"
                )
        for label, count in dropped.items():
            self._dropped(label, count)
        return [
            Shaped(batches[0] if len(batches) == 1 else pa.concat_batches(batches), stores)
            for stores, batches in parts.items()
        ]

    def redact_letters(self, letters: pa.RecordBatch) -> pa.RecordBatch:
        """Letters without what the redact steps look for, whatever their `where` and `fields`: what could not be
        decoded has no fields that a rule could be about.
        """
        if not self._redacting:
            return letters
        raws = letters.column("raw").to_pylist()
        texts = pa.concat_arrays([letters.column("reason"), pa.array(map(_text_of, raws), pa.string())])
        for redact in self._redacting:
            texts = redact.texts(texts)
        rows = letters.num_rows
        redacted = [_bytes_of(text, raw) for text, raw in zip(texts.slice(rows).to_pylist(), raws, strict=True)]
        return with_columns(letters, {"reason": texts.slice(0, rows), "raw": pa.array(redacted, pa.binary())})

    def _applied(
        self, events: pa.RecordBatch, dropped: dict[str, int]
    ) -> list[tuple[frozenset[str] | None, pa.RecordBatch]]:
        groups: list[tuple[frozenset[str] | None, pa.RecordBatch]] = [(None, events)]
        for step in self.steps:
            if isinstance(step.work, Route):
                groups = [part for group in groups for part in routed(step, step.work, *group)]
                continue
            done = []
            for stores, batch in groups:
                after = step.run(batch)
                if after.num_rows < batch.num_rows:
                    dropped[step.label] = dropped.get(step.label, 0) + batch.num_rows - after.num_rows
                if after.num_rows:
                    done.append((stores, after))
            groups = done
        return groups


def _text_of(raw: bytes) -> str:
    """The bytes as a text; each that is no UTF-8 as a character of private use, so that what is around it is read."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode(errors="surrogateescape").translate(_STAND_INS)


def _bytes_of(text: str, raw: bytes) -> bytes:
    """What `text` has become of `_text_of(raw)`, as bytes again."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return text.translate(_STOOD_IN_FOR).encode(errors="surrogateescape")
    return text.encode()


def routed(
    step: Step, route: Route, stores: frozenset[str] | None, events: pa.RecordBatch
) -> list[tuple[frozenset[str] | None, pa.RecordBatch]]:
    """An event that was routed before stays where it was sent."""
    if stores is not None:
        return [(stores, events)]
    chosen = step.chosen(events)
    parts = [(route.stores, events.filter(pa.array(chosen))), (None, events.filter(pa.array(~chosen)))]
    return [(its, batch) for its, batch in parts if batch.num_rows]


def load_pipeline(
    path: Path,
    *,
    limits: IngestSettings,
    environment: Mapping[str, str],
    stores: Collection[str] | None = None,
    dropped: Dropped = lambda label, count: None,
) -> Pipeline:
    """Read, check and compile. `stores` are the names that routes may use; None: any.

    Raises `Stop` with every place that is wrong: the file, the step's number and kind, its field, and why.
    """
    settings = _settings(path)
    compiler = Compiler(path.parent, limits=limits, environment=environment, stores=stores)
    steps: list[Step] = []
    problems: list[str] = []
    for number, each in enumerate(settings.step, 1):
        place = f"{path}: step {number} ({each.kind})"
        label = each.name or f"{each.kind}-{number}"
        if any(step.label == label for step in steps):
            problems.append(f"{place}: name: an earlier step has the name {label!r}")
        try:
            steps.append(Step(label, each.kind, parse(each.where), compiler.work(each)))
        except QueryError as error:
            problems.append(f"{place}: where: {error}")
        except WrongField as error:
            problems.append(f"{place}: {error.field}: {error}")
    if problems:
        raise Stop("the pipeline is wrong:\n  " + "\n  ".join(problems))
    return Pipeline(steps, dropped)


def _settings(path: Path) -> PipelineSettings:
    try:
        text = path.read_bytes()
        if len(text) > FILE_BYTES_MAX:
            raise Stop(f"the pipeline {path} has {len(text):,} bytes; {FILE_BYTES_MAX:,} are the most")
        tree = tomllib.loads(text.decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Stop(f"the pipeline {path} cannot be read: {error}") from error
    try:
        return PipelineSettings.model_validate(tree)
    except ValidationError as error:
        problems = "\n  ".join(_problem(path, detail["loc"], _reason(detail)) for detail in error.errors())
        raise Stop(f"the pipeline is wrong:\n  {problems}") from error


def _problem(path: Path, place: tuple[int | str, ...], reason: str) -> str:
    if len(place) < 2 or place[0] != "step":
        return f"{path}: {'.'.join(map(str, place))}: {reason}; a pipeline is a list of [[step]] tables"
    # Behind the number pydantic puts the kind, once it knows it.
    kind = f" ({place[2]})" if len(place) > 2 else ""
    field = ".".join(str(part) for part in place[3:])
    return f"{path}: step {int(place[1]) + 1}{kind}: {f'{field}: ' if field else ''}{reason}"


def _reason(detail: ErrorDetails) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return "there is no such field; docs/pipeline.md lists those of each kind"
        case "union_tag_invalid":
            return f"there is no kind {detail['ctx']['tag']!r}; the kinds are {detail['ctx']['expected_tags']}"
        case "union_tag_not_found":
            return "it has no `kind`"
        case _:
            return detail["msg"].removeprefix("Value error, ")
