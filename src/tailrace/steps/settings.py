"""What a pipeline's file may say: each step's fields, their defaults and bounds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

STEPS_MAX = 64
"""Each step costs each event something; nobody needs more than a few."""

TEXT_MAX = 1024
"""Characters of a text that a step adds to an event: it is added to each."""

FieldName = Annotated[str, Field(min_length=1, max_length=256)]
ShortText = Annotated[str, Field(max_length=TEXT_MAX)]
Pattern = Annotated[str, Field(min_length=1, max_length=16_384)]


class StepSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] | None = None
    """What metrics and messages call the step; its kind and number when not given."""
    where: Annotated[str, Field(max_length=4096)] = ""
    """Which events the step is for, in the query syntax; all of them when empty."""


class ParseSettings(StepSettings):
    """What all steps that read fields out of a text have in common."""

    field: FieldName = "message"
    """The text that is read."""
    prefix: Annotated[str, Field(max_length=64)] = ""
    """Put before the names of the attributes that are read out."""
    columns: bool = True
    """Whether names such as `level`, `ts` or `msg` fill the event's own columns where these are empty."""
    overwrite: bool = False
    """Whether what is read out replaces what the event has already."""
    keep: bool = True
    """Whether the text stays once it was read."""
    unmatched: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """The attribute `unmatched` gets this text in events that the step cannot read."""


class JsonSettings(ParseSettings):
    kind: Literal["json"]


class LogfmtSettings(ParseSettings):
    kind: Literal["logfmt"]


class ClfSettings(ParseSettings):
    kind: Literal["clf"]


class RegexSettings(ParseSettings):
    kind: Literal["regex"]
    patterns: Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=64)]
    """RE2 with named groups, tried in order; the first that is found counts."""


class GrokSettings(ParseSettings):
    kind: Literal["grok"]
    patterns: Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=64)]
    """Grok expressions, tried in order; the first that is found counts."""
    definitions: dict[Annotated[str, Field(pattern=r"^\w{1,64}$")], Pattern] = {}
    """Patterns of your own, by name."""


class RenameSettings(StepSettings):
    kind: Literal["rename"]
    fields: Annotated[dict[FieldName, FieldName], Field(min_length=1, max_length=256)]
    """Old name to new one."""
    overwrite: bool = False
    """Whether a field of the new name gives way; else the old name stays."""


class SetSettings(StepSettings):
    kind: Literal["set"]
    fields: Annotated[dict[FieldName, Annotated[str, Field(max_length=TEXT_MAX)]], Field(min_length=1, max_length=64)]
    """Field to text."""
    overwrite: bool = True
    """Whether the text replaces what the event has."""


class DropFieldsSettings(StepSettings):
    kind: Literal["drop_fields"]
    fields: Annotated[tuple[FieldName, ...], Field(min_length=1, max_length=256)]
    """The fields; `name.*` is every attribute whose name begins with `name.`."""


class DropEventsSettings(StepSettings):
    kind: Literal["drop_events"]

    @model_validator(mode="after")
    def _says_which(self) -> DropEventsSettings:
        if not self.where.strip():
            raise ValueError("`where` has to say which events; without it all would be dropped")
        return self


OneOf = Annotated[int, Field(ge=1, le=1_000_000)]


class SampleSettings(StepSettings):
    kind: Literal["sample"]
    keep_one_of: OneOf = 1
    """N: one event of N is kept."""
    by: FieldName | None = None
    """The field whose value chooses another N from `rates`."""
    rates: Annotated[dict[ShortText, OneOf], Field(max_length=1000)] = {}
    """Value of `by` to N; other values have `keep_one_of`."""

    @model_validator(mode="after")
    def _is_whole(self) -> SampleSettings:
        if bool(self.rates) != (self.by is not None):
            raise ValueError("`by` and `rates` go together: the field, and N for its values")
        return self


StoreName = Literal["lake", "elasticsearch", "jsonl"]


class RouteSettings(StepSettings):
    kind: Literal["route"]
    stores: Annotated[tuple[StoreName, ...], Field(min_length=1, max_length=16)]
    """The stores that alone get the events. An event follows the first route that is for it."""


Detector = Literal["card", "email", "ipv4", "ipv6", "token"]


class RedactSettings(StepSettings):
    kind: Literal["redact"]
    detect: Annotated[tuple[Detector, ...], Field(max_length=5)] = ()
    """What is looked for: `card`, `email`, `ipv4`, `ipv6`, `token`."""
    patterns: Annotated[dict[Annotated[str, Field(pattern=r"^\w{1,32}$")], Pattern], Field(max_length=64)] = {}
    """Expressions of your own (RE2), each with the name that stands in the place of what it finds."""
    fields: Annotated[tuple[FieldName, ...], Field(max_length=256)] = ()
    """Where it is looked for; when empty everywhere: message, service, host, ids, attributes and their names."""
    action: Literal["hash", "mask", "drop"] = "drop"
    """`drop`: `[card]` stands in its place; `mask`: the last four characters stay; `hash`: `[card:1f3a…]`, the same
    for the same text."""
    key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """The environment variable with the key of `hash`: 16 bytes or more, the same on every machine."""
    key_file: str | None = None
    """Or the file with that key; a relative path starts at the pipeline's file."""

    @model_validator(mode="after")
    def _is_whole(self) -> RedactSettings:
        if not self.detect and not self.patterns:
            raise ValueError("say what to look for, in `detect` or `patterns`")
        if self.action == "hash" and (self.key_env is None) == (self.key_file is None):
            raise ValueError("`hash` needs a key: give either `key_env` or `key_file`")
        if self.action != "hash" and (self.key_env or self.key_file):
            raise ValueError(f"`{self.action}` uses no key; leave `key_env` and `key_file` out")
        return self


class EnrichSettings(StepSettings):
    kind: Literal["enrich"]
    file: Annotated[str, Field(min_length=1)]
    """A CSV file with a header; a relative path starts at the pipeline's file. It is read at the start."""
    field: FieldName
    """The event's field that is looked up."""
    key: FieldName | None = None
    """The column it is looked up in; the first when not given."""
    columns: Annotated[tuple[FieldName, ...], Field(max_length=64)] = ()
    """The columns that are added; all others when empty."""
    prefix: Annotated[str, Field(max_length=64)] = ""
    """Put before the names of the attributes."""
    overwrite: bool = False
    """Whether what the table says replaces what the event has."""


AnyStep = Annotated[
    JsonSettings
    | LogfmtSettings
    | RegexSettings
    | GrokSettings
    | ClfSettings
    | RenameSettings
    | SetSettings
    | DropFieldsSettings
    | DropEventsSettings
    | SampleSettings
    | RouteSettings
    | RedactSettings
    | EnrichSettings,
    Field(discriminator="kind"),
]


class PipelineSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    step: Annotated[tuple[AnyStep, ...], Field(max_length=STEPS_MAX)] = ()
