"""Every metric, declared once. Components are handed the tree; nothing is registered globally."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

# From a memory access to a stuck disk.
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """One instance a process; `registry` is what `/metrics` prints."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        # Memory, processor time, open files: under the names that every exporter gives them.
        ProcessCollector(registry=r)
        self.events_accepted = Counter("tailrace_events_accepted", "Events acknowledged as durable.", registry=r)
        self.bytes_received = Counter("tailrace_bytes_received", "Bytes of request bodies, as sent.", registry=r)
        self.events_rejected = Counter(
            "tailrace_events_rejected",
            "Lines that could not be decoded and went to the dead letters.",
            registry=r,
        )
        self.requests_refused = Counter(
            "tailrace_requests_refused",
            "Ingest requests refused whole, by the kind of error.",
            ["error"],
            registry=r,
        )
        self.listener_connections = Gauge(
            "tailrace_listener_connections", "Open connections of a TCP listener.", ["listener"], registry=r
        )
        self.listener_connections_refused = Counter(
            "tailrace_listener_connections_refused",
            "Connections that were closed because a listener had listeners.connections_max already.",
            ["listener"],
            registry=r,
        )
        self.listener_dropped = Counter(
            "tailrace_listener_dropped",
            "Messages that reached a listener, or this machine, and were lost, by the reason.",
            ["listener", "reason"],
            registry=r,
        )
        self.pipeline_events_dropped = Counter(
            "tailrace_pipeline_events_dropped",
            "Events that a step of the pipeline has left out, by a rule or by sampling.",
            ["step"],
            registry=r,
        )
        self.append_seconds = Histogram(
            "tailrace_append_seconds", "From decoded to durable in the log.", buckets=_SECONDS, registry=r
        )
        self.log_commit_seconds = Histogram(
            "tailrace_log_commit_seconds",
            "One group commit of the log, fsync included.",
            buckets=_SECONDS,
            registry=r,
        )
        self.log_commit_records = Histogram(
            "tailrace_log_commit_records",
            "Records that shared one commit of the log.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
            registry=r,
        )
        self.ingest_bytes_in_flight = Gauge(
            "tailrace_ingest_bytes_in_flight", "Request bodies being received and decoded.", registry=r
        )
        self.log_bytes = Gauge("tailrace_log_bytes", "Payload that the log holds.", registry=r)
        self.log_lag_records = Gauge(
            "tailrace_log_lag_records",
            "Records of the log that a store has not committed yet.",
            ["store"],
            registry=r,
        )
        self.log_lag_events = Gauge(
            "tailrace_log_lag_events",
            "Events of the log that a store has not committed yet; the embedded log alone can count them.",
            ["store"],
            registry=r,
        )
        self.hot_bytes = Gauge(
            "tailrace_hot_bytes",
            "Newest events held in memory, or in Redis as a worker sees it, in bytes.",
            registry=r,
        )
        self.hot_events_skipped = Counter(
            "tailrace_hot_events_skipped",
            "Events that never got into Redis because it was away: queries see them once a store has them.",
            registry=r,
        )
        self.events_read = Counter(
            "tailrace_events_read", "Events read from the log, by the store they are for.", ["store"], registry=r
        )
        self.events_stored = Counter(
            "tailrace_events_stored", "Events that a store has taken.", ["store"], registry=r
        )
        self.dead_letters = Counter("tailrace_dead_letters", "Dead letters the worker has kept.", registry=r)
        self.dead_letters_pushed_out = Gauge(
            "tailrace_dead_letters_pushed_out",
            "Dead letters dropped, ever, to keep to dead_letters.bytes_max: the only events that are ever given up.",
            registry=r,
        )
        self.ledger_skipped = Counter(
            "tailrace_ledger_skipped",
            "Operations on dead letters, claims and saved views that could not be decoded and were left out.",
            registry=r,
        )
        self.retries = Counter("tailrace_retries", "Calls that failed and were made again.", ["place"], registry=r)
        self.flush_seconds = Histogram(
            "tailrace_flush_seconds", "Writing one flush to a store.", ["store"], buckets=_SECONDS, registry=r
        )
        self.query_seconds = Histogram(
            "tailrace_query_seconds",
            "From a query's start to its answer, by kind; exports and SQL until the last byte.",
            ["kind"],
            buckets=_SECONDS,
            registry=r,
        )
        self.queries_refused = Counter(
            "tailrace_queries_refused", "Queries refused because too many are at work, by kind.", ["kind"], registry=r
        )
        self.cache_answers = Counter(
            "tailrace_cache_answers", "Answers of GET /logs, by result: hit or miss.", ["result"], registry=r
        )
        self.tails = Gauge("tailrace_tails", "Live tails that are open.", registry=r)
        self.tail_missed = Counter(
            "tailrace_tail_missed",
            "Events that live tails were not given because their readers were slow.",
            registry=r,
        )
        self.lake_files = Gauge("tailrace_lake_files", "Data files of the lake.", registry=r)
        self.lake_bytes = Gauge("tailrace_lake_bytes", "Bytes of the lake's data files.", registry=r)
        self.lake_damaged_files = Gauge(
            "tailrace_lake_damaged_files", "Files of the lake that were found missing or damaged.", registry=r
        )
        self.lake_compactions = Counter(
            "tailrace_lake_compactions", "Files of the lake that were written in the place of several.", registry=r
        )
        self.lake_events_deleted = Counter(
            "tailrace_lake_events_deleted", "Events that retention has deleted from the lake.", registry=r
        )
