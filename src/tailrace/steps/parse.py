"""Steps that read fields out of a text: json, logfmt, clf, regex and grok.

A reader turns texts into entries and says which texts it could read; what is done with them is the same for all. An
event whose text cannot be read goes on unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.config import IngestSettings
from tailrace.ingest.fields import ALIASES
from tailrace.ingest.text.access import read_access
from tailrace.steps.fields import Bools, Entries, joined, numpy_bools, text_of, with_more_attributes, without
from tailrace.steps.filling import add_fields
from tailrace.steps.grok import Grok
from tailrace.steps.regex import Expression, entries_of
from tailrace.steps.settings import ParseSettings

UNMATCHED = "unmatched"
"""The attribute that marks events which a step could not read, where it is asked to mark them."""


class Reader(Protocol):
    def read(self, texts: pa.StringArray, limits: IngestSettings) -> tuple[Entries, Bools]:
        """The fields in the texts, and which texts could be read. A null text cannot."""
        ...


@dataclass(frozen=True, slots=True)
class Parse:
    """One step. `limits` are those of events that come in: past them a text is not read."""

    settings: ParseSettings
    reader: Reader
    limits: IngestSettings

    def apply(self, events: pa.RecordBatch) -> pa.RecordBatch:
        settings = self.settings
        entries, matched = self.reader.read(text_of(events, settings.field), self.limits)
        if not settings.keep and matched.any():
            events = without(events, settings.field, matched)
        if len(entries.rows):
            events = add_fields(
                events,
                entries,
                names=ALIASES if settings.columns else (),
                overwrite=settings.overwrite,
                limits=self.limits,
                prefix=settings.prefix,
            )
        if settings.unmatched is not None and not matched.all():
            rows = np.flatnonzero(~matched)
            marks = Entries(rows, pa.repeat(UNMATCHED, len(rows)), pa.repeat(settings.unmatched, len(rows)))
            events = with_more_attributes(events, marks, overwrite=True)
        return events


@dataclass(frozen=True, slots=True)
class ExpressionReader:
    """Expressions in order; each is tried on the texts that none before it has matched."""

    expressions: Sequence[Expression | Grok]

    def read(self, texts: pa.StringArray, limits: IngestSettings) -> tuple[Entries, Bools]:
        matched = np.zeros(len(texts), bool)
        parts = []
        for expression in self.expressions:
            rows = np.flatnonzero(~matched)
            if not len(rows):
                break
            untried = texts if len(rows) == len(texts) else texts.take(pa.array(rows))
            values, hits = expression.read(untried)
            entries = entries_of(values, hits)
            parts.append(Entries(rows[entries.rows], entries.keys, entries.values))
            matched[rows[hits]] = True
        return joined(parts), matched


# A time goes on with `/` or `-` behind its first number; an address in brackets, `[2001:db8::1]`, does not.
_CLF_TIME = r"\[(?P<timestamp>\d+[/-][^\]]*)\]"


class ClfReader:
    """Lines of the Common Log Format and the combined one; the level follows the status."""

    def read(self, texts: pa.StringArray, limits: IngestSettings) -> tuple[Entries, Bools]:
        told = read_access(texts)
        assert told.level is not None
        times = pc.extract_regex(texts, _CLF_TIME).field("timestamp")
        matched = numpy_bools(told.level.is_valid())
        return entries_of({"timestamp": times, "level": told.level, **told.attributes}, matched), matched
