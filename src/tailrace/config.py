"""The settings: one frozen tree of typed sections, each leaf with its default and its reason.

Durations are in seconds and sizes in bytes, named so (`…_s`, `…_bytes`). How file, environment and flags become
this tree is in `tailrace.config_load`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0)]

MIB = 1 << 20
GIB = 1 << 30


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class LogSettings(Section):
    url: str = "sqlite://"
    """Where the log is: `sqlite://` (a file in the data folder) or `kafka://HOST:PORT[,HOST:PORT…]/TOPIC`."""
    backlog_bytes_max: PositiveInt = 4 * GIB
    """Unread payload the log may hold before new events are refused with 429:
    the disk's share for a worker's outage."""
    keep_for_s: Annotated[float, Field(ge=0)] = 0
    """How long records stay in the log after every group has read them; 0: not at all."""
    append_queue_bytes_max: PositiveInt = 64 * MIB
    """Payload waiting for one group commit before new events are refused with 429; about a second of a fast disk."""


class KafkaSettings(Section):
    partitions: PositiveInt = 6
    """Partitions that the topic is made with: the most workers that can share it."""
    replication: PositiveInt = 1
    """Replicas that the topic is made with; 3, with two in sync, survives the loss of a broker."""
    options: dict[str, str] = {}
    """Properties of librdkafka, passed through: TLS, SASL, and what else a cluster asks for."""


class IngestSettings(Section):
    body_bytes_max: PositiveInt = 64 * MIB
    """A request body after decompression; past it 413."""
    line_bytes_max: PositiveInt = MIB
    """One event's JSON or text; past it the line is a dead letter."""
    fields_max: PositiveInt = 256
    """Fields of one event, nested ones counted; past it the line is a dead letter."""
    nesting_max: Annotated[int, Field(gt=0, le=128)] = 16
    """Depth of nested objects and arrays in one event; past it the line is a dead letter. At most 128."""
    timestamp_past_max_s: PositiveFloat = 40 * 365 * 86400
    """A timestamp further back is absurd: the event is kept under its arrival time, with a mark."""
    timestamp_future_max_s: PositiveFloat = 86400
    """A timestamp further ahead is absurd: the event is kept under its arrival time, with a mark."""
    parse_threads: PositiveInt = 2
    """Threads that decode bodies; the decoders let go of the GIL."""
    body_bytes_in_flight_max: PositiveInt = 256 * MIB
    """Bodies being received and decoded at once; past it 429: the bound of the gateway's memory."""
    idempotency_window_s: PositiveFloat = 86400
    """How long a request that repeats an `Idempotency-Key` is known to be a repetition."""


Address = Annotated[str, Field(pattern=r"^(\[.+\]|[^:]+):\d{1,5}$")]
"""HOST:PORT."""


class ListenerSettings(Section):
    """Where protocols that are not HTTP are taken in; by default nowhere. `tailrace up --shippers` opens all."""

    http: tuple[Address, ...] = ()
    """More addresses of the HTTP server, where shippers expect one: 4318 (OTLP), 9200, 3100, 8088…"""
    otlp_grpc: Address | None = None
    """OpenTelemetry's logs over gRPC; usually port 4317."""
    syslog_udp: Address | None = None
    """Syslog, a message a datagram; usually port 514."""
    syslog_tcp: Address | None = None
    """Syslog over TCP; usually port 514 or 601."""
    syslog_tls: Address | None = None
    """Syslog over TLS; usually port 6514."""
    forward: Address | None = None
    """Fluentd's and Fluent Bit's forward protocol; usually port 24224."""
    forward_tls: Address | None = None
    """The forward protocol over TLS; usually port 24224."""
    forward_shared_key: str | None = None
    """The key that a client of `forward` and `forward_tls` must know; none: anybody may send."""
    gelf_udp: Address | None = None
    """Graylog's format over UDP; usually port 12201."""
    gelf_tcp: Address | None = None
    """Graylog's format over TCP; usually port 12201."""
    gelf_tls: Address | None = None
    """Graylog's format over TLS; usually port 12201."""
    syslog_timezone: str = "UTC"
    """The zone of syslog's times that tell none: an offset such as `+02:00`, or a name such as `Europe/Berlin`."""
    tls_certificate: Path | None = None
    """The certificate that `syslog_tls`, `forward_tls` and `gelf_tls` show, with its chain, as a PEM file."""
    tls_key: Path | None = None
    """Its private key, as a PEM file without a password; none: it is in the file of the certificate."""
    tls_client_ca: Path | None = None
    """Certificates, as a PEM file, that sign those of the clients over TLS; none: anybody may send."""
    connections_max: PositiveInt = 12_000
    """Connections of a TCP listener at once; past it a new one is closed. Idle ones take kilobytes, over TLS 100."""


class WorkerSettings(Section):
    flush_interval_s: PositiveFloat = 2.0
    """The longest an event waits in memory before it is written to a store."""
    flush_rows: PositiveInt = 131_072
    """Rows that start a flush before its time."""
    unstored_bytes_max: PositiveInt = 96 * MIB
    """Arrow bytes of events in memory that a store lacks, for each store; past it its reader waits."""


class HotSettings(Section):
    url: str = "memory://"
    """Where the newest events are: `memory://` (of this process) or `redis://HOST:PORT/DB`."""
    bytes_max: PositiveInt = 128 * MIB
    """Bytes of the newest events that are kept; past it the oldest go."""
    age_s: PositiveFloat = 3600
    """How long Redis keeps an event at most."""


class LakeSettings(Section):
    storage_options: dict[str, str] = {}
    """Options of the object store (`aws_access_key_id`, `aws_endpoint_url`…), beside those of the environment."""
    cache_bytes_max: PositiveInt = 10 * GIB
    """Local disk for the files of a lake on `s3://` or `hdfs://` that queries have read."""
    compact_interval_s: PositiveFloat = 60
    """How often small files are looked for, to be joined."""
    compact_rows: PositiveInt = 1_048_576
    """Rows of a joined file; a file of more than half of them is left as it is."""
    compact_bytes: PositiveInt = 128 * MIB
    """Bytes of a joined file, where that is reached before its rows."""
    vacuum_after_s: PositiveFloat = 3600
    """How long a file stays on disk after it was replaced or deleted; longer than any query may run, so that none
    loses what it reads."""


class RetentionSettings(Section):
    """What is deleted from lake and Elasticsearch; by default nothing. A file, or an index, goes as a whole."""

    age_s: PositiveFloat | None = None
    """How long an event is kept after its arrival; none: for ever."""
    bytes_max: PositiveInt | None = None
    """Size of a store past which its oldest files, or indices, are deleted; none: no bound."""
    services: dict[str, PositiveFloat] = {}
    """Another `age_s` for the events of a service, by its name."""


class ElasticsearchSettings(Section):
    bulk_bytes: PositiveInt = 8 * MIB
    """Size of one bulk request."""
    shards: PositiveInt = 1
    """Primary shards of a day's index."""
    replicas: Annotated[int, Field(ge=0)] = 0
    """Copies of each shard; 1 or more on a cluster of several nodes."""


class JsonlSettings(Section):
    rotate_bytes: PositiveInt = 256 * MIB
    """Size at which the file is rotated; it is also rotated every UTC day."""
    keep_files: PositiveInt = 8
    """Rotated files that are kept; older ones are deleted."""


class DeadLetterSettings(Section):
    bytes_max: PositiveInt = 256 * MIB
    """What could not be decoded is kept up to this size; past it the oldest is dropped, and counted."""


class QuerySettings(Section):
    time_max_s: PositiveFloat = 60
    """The longest a query, SQL included, may run."""
    memory_bytes_max: PositiveInt = 512 * MIB
    """Memory of DuckDB for all queries."""
    threads: PositiveInt = 2
    """Threads of DuckDB for all queries."""
    requests_max: PositiveInt = 64
    """Queries at work or waiting at once; past it 429. A longer queue would only make everybody wait longer."""
    tails_max: PositiveInt = 32
    """Live tails at once; past it 429. Each has a thread of its own."""
    sql_max: PositiveInt = 2
    """SQL statements at once; past it 429. Each is a process with `memory_bytes_max` of its own."""
    cache_s: PositiveFloat = 120
    """How long an answer of `GET /logs` is served again."""
    cache_bytes_max: PositiveInt = 64 * MIB
    """Answers kept for that; the least recently used go first."""


class Settings(Section):
    data: Path = Path("data")
    """The folder that holds everything on disk."""
    listen: Address = "127.0.0.1:8001"
    """The HTTP address, HOST:PORT."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much Tailrace says of itself on standard error."""
    stores: tuple[str, ...] = ("lake",)
    """Where events are kept; the first that can search answers queries. `lake` (in the data folder) or its URL
    (`file:///…`, `s3://BUCKET/PATH`, `hdfs://HOST:PORT/PATH`), `jsonl`, `elasticsearch://HOST:PORT/NAME`."""
    pipeline: Path | None = None
    """A file with the steps that parse, shape, redact and route events before they are stored; none: they stay as
    they are sent."""
    log: LogSettings = LogSettings()
    kafka: KafkaSettings = KafkaSettings()
    ingest: IngestSettings = IngestSettings()
    listeners: ListenerSettings = ListenerSettings()
    worker: WorkerSettings = WorkerSettings()
    hot: HotSettings = HotSettings()
    lake: LakeSettings = LakeSettings()
    elasticsearch: ElasticsearchSettings = ElasticsearchSettings()
    retention: RetentionSettings = RetentionSettings()
    jsonl: JsonlSettings = JsonlSettings()
    dead_letters: DeadLetterSettings = DeadLetterSettings()
    query: QuerySettings = QuerySettings()

    @model_validator(mode="after")
    def _queries_end_before_their_files(self) -> Settings:
        if self.lake.vacuum_after_s <= self.query.time_max_s:
            raise ValueError(
                f"lake.vacuum_after_s = {self.lake.vacuum_after_s:g} must be longer than "
                f"query.time_max_s = {self.query.time_max_s:g}: a query would lose the files it reads"
            )
        return self
