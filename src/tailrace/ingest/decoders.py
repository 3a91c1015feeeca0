"""Which decoder reads what a dead letter holds, by its content type."""

from __future__ import annotations

from tailrace.ingest.arrow_logs import decode_arrow
from tailrace.ingest.decoded import Decode
from tailrace.ingest.gelf.decode import GELF, decode_gelf
from tailrace.ingest.json_logs import decode_json
from tailrace.ingest.loki.decode import LOKI_JSON, LOKI_PROTOBUF, decode_loki_json, decode_loki_protobuf
from tailrace.ingest.otlp.decode import OTLP_JSON, OTLP_PROTOBUF, decode_otlp_json, decode_otlp_protobuf
from tailrace.ingest.syslog.decode import SYSLOG, decode_syslog
from tailrace.model.batch import ARROW_STREAM

DECODERS: dict[str, Decode] = {
    ARROW_STREAM: decode_arrow,
    SYSLOG: decode_syslog,
    GELF: decode_gelf,
    LOKI_JSON: decode_loki_json,
    LOKI_PROTOBUF: decode_loki_protobuf,
    OTLP_JSON: decode_otlp_json,
    OTLP_PROTOBUF: decode_otlp_protobuf,
}
"""What is not here is JSON: an object, an array of them, or one a line."""


def decoder_of(content_type: str) -> Decode:
    """For a media type, with or without parameters."""
    return DECODERS.get(content_type.partition(";")[0].strip().lower(), decode_json)
