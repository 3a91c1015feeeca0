"""From what a pipeline's file says to steps that can run: all that can be wrong is found here, at the start."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from tailrace.config import IngestSettings
from tailrace.errors import BadInput
from tailrace.model.level import level_of
from tailrace.query.leaves import attribute_name
from tailrace.query.tree import TIME_FIELDS
from tailrace.steps.grok import Grok, compile_grok
from tailrace.steps.parse import ClfReader, ExpressionReader, Parse, Reader
from tailrace.steps.parse_json import JsonReader
from tailrace.steps.parse_logfmt import LogfmtReader
from tailrace.steps.redact import DETECTORS, Matches, Redact, hashing, mask, replace_by_name
from tailrace.steps.regex import Expression, checked, compile_expression, matches_nothing
from tailrace.steps.rows import DropEvents, Sample
from tailrace.steps.settings import (
    AnyStep,
    ClfSettings,
    DropEventsSettings,
    DropFieldsSettings,
    EnrichSettings,
    GrokSettings,
    JsonSettings,
    LogfmtSettings,
    ParseSettings,
    RedactSettings,
    RegexSettings,
    RenameSettings,
    RouteSettings,
    SampleSettings,
    SetSettings,
)
from tailrace.steps.shape_fields import DropFields, Enrich, Rename, Set
from tailrace.steps.step import Route, Work
from tailrace.steps.table import Table, read_table

KEY_BYTES_MIN = 16


class WrongField(BadInput):
    """`field` of a step cannot be as it is."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


class Compiler:
    """`folder`: where relative paths start. `stores`: the names that there are; None: they are not looked at."""

    def __init__(
        self,
        folder: Path,
        *,
        limits: IngestSettings,
        environment: Mapping[str, str],
        stores: Collection[str] | None,
    ) -> None:
        self._folder = folder
        self._limits = limits
        self._environment = environment
        self._stores = stores

    def work(self, settings: AnyStep) -> Work:
        """What the step does to the events it is for. Raises `WrongField`."""
        match settings:
            case ParseSettings():
                _check_text_field("field", settings.field)
                return Parse(settings, _reader(settings), self._limits)
            case RenameSettings():
                return self._rename(settings)
            case SetSettings():
                return _set(settings)
            case DropFieldsSettings():
                for field in settings.fields:
                    _check_taken_away("fields", field)
                    if attribute_name(field) == "*":
                        raise WrongField("fields", "not all attributes: write `name.*` for those below a name")
                return DropFields(settings.fields)
            case DropEventsSettings():
                return DropEvents()
            case SampleSettings():
                if settings.by is not None:
                    _check_no_time("by", settings.by)
                return Sample(settings.keep_one_of, settings.by, settings.rates)
            case RouteSettings():
                return self._route(settings)
            case RedactSettings():
                return self._redact(settings)
            case EnrichSettings():
                return self._enrich(settings)

    def _rename(self, settings: RenameSettings) -> Rename:
        for old, new in settings.fields.items():
            _check_taken_away("fields", old)
            if old == new:
                raise WrongField("fields", f"{old!r} is both the old name and the new one")
            if new == "observed_timestamp":
                raise WrongField("fields", "observed_timestamp is when the event came in; nothing else goes there")
        return Rename(settings.fields, settings.overwrite, self._limits)

    def _route(self, settings: RouteSettings) -> Route:
        unknown = [name for name in settings.stores if self._stores is not None and name not in self._stores]
        if unknown:
            there = ", ".join(sorted(self._stores or ()))
            raise WrongField("stores", f"there is no store {unknown[0]!r}; the setting `stores` has {there}")
        return Route(frozenset(settings.stores))

    def _redact(self, settings: RedactSettings) -> Redact:
        for field in settings.fields:
            _check_text_field("fields", field)
        detectors = []
        for name, pattern in settings.patterns.items():
            try:
                checked(pattern)
            except BadInput as error:
                raise WrongField(f"patterns.{name}", str(error)) from error
            if matches_nothing(pattern):
                raise WrongField(f"patterns.{name}", "it matches an empty text, and so would redact everywhere")
            detectors.append(Matches(name, pattern))
        found = [detector for name, several in DETECTORS.items() if name in settings.detect for detector in several]
        if settings.action == "hash":
            replace = hashing(self._key(settings))
        else:
            replace = mask if settings.action == "mask" else replace_by_name
        return Redact([*detectors, *found], replace, settings.fields)

    def _key(self, settings: RedactSettings) -> bytes:
        if settings.key_env is not None:
            field, place = "key_env", f"the environment variable {settings.key_env}"
            key = self._environment.get(settings.key_env, "").encode()
        else:
            field, path = "key_file", self._folder / (settings.key_file or "")
            place = str(path)
            try:
                key = path.read_bytes().strip()
            except OSError as error:
                raise WrongField(field, f"{path} cannot be read: {error}") from error
        if len(key) < KEY_BYTES_MIN:
            raise WrongField(field, f"{place} has {len(key)} bytes; a key has {KEY_BYTES_MIN} or more")
        return key

    def _enrich(self, settings: EnrichSettings) -> Enrich:
        _check_no_time("field", settings.field)
        try:
            table = read_table(self._folder / settings.file, key=settings.key, columns=settings.columns)
        except BadInput as error:
            raise WrongField("file", str(error)) from error
        columns = {settings.prefix + name: texts for name, texts in table.columns.items()}
        return Enrich(settings.field, Table(table.row_of, columns), settings.overwrite)


def _set(settings: SetSettings) -> Set:
    fields = dict(settings.fields)
    for field, text in settings.fields.items():
        _check_no_time("fields", field)
        if field == "level":
            level = level_of(text)
            if level is None:
                raise WrongField("fields", f"{text!r} is not a level")
            fields[field] = level
    return Set(fields, settings.overwrite)


def _reader(settings: ParseSettings) -> Reader:
    match settings:
        case JsonSettings():
            return JsonReader()
        case LogfmtSettings():
            return LogfmtReader()
        case ClfSettings():
            return ClfReader()
        case RegexSettings():
            return ExpressionReader([_expression(i, text, None) for i, text in enumerate(settings.patterns, 1)])
        case GrokSettings():
            own = settings.definitions
            return ExpressionReader([_expression(i, text, own) for i, text in enumerate(settings.patterns, 1)])
    raise AssertionError(f"{type(settings).__name__} has no reader")


def _expression(number: int, pattern: str, definitions: Mapping[str, str] | None) -> Expression | Grok:
    try:
        return compile_expression(pattern) if definitions is None else compile_grok(pattern, definitions)
    except BadInput as error:
        raise WrongField(f"patterns[{number}]", str(error)) from error


def _check_no_time(place: str, field: str) -> None:
    if field in TIME_FIELDS:
        raise WrongField(place, f"{field} is a time, not a text")


def _check_text_field(place: str, field: str) -> None:
    _check_no_time(place, field)
    if field == "level":
        raise WrongField(place, "level is one of six words, not a text")
    # `drop_fields` knows `name.*`. Here it would be a field that no event has, and nothing would be redacted.
    if field == "*" or field.endswith(".*"):
        raise WrongField(place, f"{field!r} is more than one field: name each")


def _check_taken_away(place: str, field: str) -> None:
    _check_no_time(place, field)
    if field == "message":
        raise WrongField(place, "the message is never missing; give it another text with `set`")
