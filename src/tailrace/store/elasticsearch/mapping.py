"""How events are indexed: the template of the daily indices, and the fields that exact answers need.

A document has the event, in the fields that Kibana's users know, and what `mapping_derived` makes of its attributes,
for no server can look into a `flattened` or `flat_object` field as our queries do:

    attribute_names     ["http.status","user"]          which attributes are not null
    attribute_pairs     ["http.status=200","user=u1"]   their values; the first `=` ends the name
    attribute_numbers   ["http.status=c069"]            those that are numbers, in a form whose order is the numbers'
    other_text          ["200","u1"]                    their words; the server adds service, host and the ids
    partial             true                            the index does not hold all of this event

An index holds no term of more than 32,766 bytes, and has more such rare bounds. An event past one of them is
`partial`: never refused, and never trusted to the index; whoever asks gets it as a candidate and looks at the event.

Words are cut by our own rule (`tailrace.query.tree`), so that the server finds a phrase exactly as we mean it. The
tokenizer is `simple_pattern` behind a `mapping` that folds A to Z alone; both are of the module analysis-common,
which every distribution of either server has.
"""

from __future__ import annotations

import string
from typing import Any, Literal

from tailrace.config import ElasticsearchSettings
from tailrace.query.to_elasticsearch_fields import (
    OTHER_TEXT,
    REGEX_CHARACTERS_MAX,
    TOKEN_CHARACTERS_MAX,
    VALUE_BYTES_MAX,
)
from tailrace.store.elasticsearch.server import Server

_ANALYZER = "tailrace"
_POSITION_GAP = 100  # between two values, so that no phrase spans them

# Above those that Elasticsearch brings along (`logs-*-*` has 100).
_PRIORITY = 500

_PARAMETERS_OF_ATTRIBUTES = {
    # For filters in Kibana alone; figures come from `attribute_pairs`.
    "elasticsearch": {"type": "flattened", "ignore_above": VALUE_BYTES_MAX, "doc_values": False},
    "opensearch": {"type": "flat_object"},
}


def pattern_of(name: str) -> str:
    """The daily indices of a store, and no others: data streams are called `logs-a-b`."""
    return f"{name}-*.*.*"


def install_template(server: Server, settings: ElasticsearchSettings) -> None:
    """Put the template of the store's indices. Raises `RetryLater`, and `Stop` for a server of another kind."""
    body = index_template(server.product().kind, server.name, shards=settings.shards, replicas=settings.replicas)
    server.request("PUT", f"/_index_template/tailrace-{server.name}", body)


def index_template(
    flavour: Literal["elasticsearch", "opensearch"], name: str, *, shards: int, replicas: int
) -> dict[str, Any]:
    """The body of `PUT /_index_template/…`. Pure."""
    return {
        "index_patterns": [pattern_of(name)],
        "priority": _PRIORITY,
        "template": {
            "settings": index_settings(shards=shards, replicas=replicas),
            "mappings": {"dynamic": False, "properties": properties(flavour)},
        },
        "_meta": {"description": "Events of Tailrace"},
    }


def index_settings(*, shards: int, replicas: int) -> dict[str, Any]:
    return {
        "number_of_shards": shards,
        "number_of_replicas": replicas,
        # With best_compression an event takes 266 bytes instead of 346, but is read at a third of the speed.
        "codec": "default",
        # Who writes refreshes when a write is whole.
        "refresh_interval": "-1",
        "max_regex_length": REGEX_CHARACTERS_MAX,
        "query.default_field": ["message", OTHER_TEXT],
        "analysis": {
            "char_filter": {
                "ascii_lower": {
                    "type": "mapping",
                    "mappings": [f"{letter} => {letter.lower()}" for letter in string.ascii_uppercase],
                }
            },
            "tokenizer": {
                "tailrace": {
                    "type": "simple_pattern",
                    "pattern": f"[0-9A-Za-z_\u0080-\U0010ffff]{{1,{TOKEN_CHARACTERS_MAX}}}",
                }
            },
            "analyzer": {_ANALYZER: {"type": "custom", "char_filter": ["ascii_lower"], "tokenizer": "tailrace"}},
        },
    }


def properties(flavour: Literal["elasticsearch", "opensearch"]) -> dict[str, Any]:
    """The fields of a document. What is not among them is kept, and not indexed."""
    keyword = {"type": "keyword", "ignore_above": VALUE_BYTES_MAX}
    value = {**keyword, "copy_to": OTHER_TEXT}
    text = {"type": "text", "analyzer": _ANALYZER, "norms": False, "position_increment_gap": _POSITION_GAP}
    # Nanoseconds since 1970 end in 2262: a time beyond is kept, and not indexed.
    time = {"type": "date_nanos", "ignore_malformed": True}
    return {
        "@timestamp": time,
        "timestamp_us": {"type": "long"},
        "observed_timestamp": {**time, "doc_values": False},
        "level": keyword,
        "service": value,
        "host": value,
        "message": text,
        "trace_id": value,
        "span_id": value,
        "attributes": _PARAMETERS_OF_ATTRIBUTES[flavour],
        "attributes_apart": {"type": "object", "enabled": False},
        "attribute_names": keyword,
        "attribute_pairs": keyword,
        "attribute_numbers": {**keyword, "doc_values": False},
        "other_text": text,
        "partial": {"type": "boolean", "doc_values": False},
        "log_partition": {"type": "integer"},
        "log_offset": {"type": "long"},
        "log_row": {"type": "integer"},
    }
