"""Every metric of the gateway, as data: name, kind, labels and what it tells. docs/telemetry.md explains them.

Units are base units, seconds and bytes. Labels hold what the configuration names (sources, labels of secrets) and words
of the gateway's own, never what a request says; a request to no source has the source `unknown`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name as Prometheus shows it, its kind, help text and labels, and a histogram's upper bounds.

    Those with `exemplars` name the trace of a recent observation, where OpenMetrics is asked for. Those that are
    `shared` tell of the inbox or of providers, and every worker of a gateway tells the same.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    exemplars: bool = False
    shared: bool = False

    @property
    def unit(self) -> str:
        """`seconds` or `bytes` where the name says so, else empty."""
        last = self.name.removesuffix("_total").rpartition("_")[2]
        return last if last in {"seconds", "bytes"} else ""


_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_LASTING = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)
_REMOTE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_MANY = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)

REQUESTS = Metric(
    "gateway_requests_total",
    "counter",
    "Webhook requests answered, by source, outcome (accepted, duplicate, handshake, rejected, unavailable) and status.",
    ("source", "outcome", "status"),
)
REQUEST_SECONDS = Metric(
    "gateway_request_duration_seconds",
    "histogram",
    "From the head of a webhook request to its answer, in seconds.",
    ("source",),
    _QUICK,
    exemplars=True,
)
REQUEST_BYTES = Metric("gateway_request_bytes_total", "counter", "Bytes of the bodies that were read.", ("source",))
REJECTIONS = Metric(
    "gateway_rejections_total",
    "counter",
    "Requests refused, or answered that they cannot be kept now, by the label of the reason.",
    ("source", "reason"),
)
VERIFICATIONS = Metric(
    "gateway_verifications_total",
    "counter",
    "Checks of signatures, by result: passed or failed. One that failed may be kept all the same (enforce = false).",
    ("source", "result"),
)
SECRET_USES = Metric(
    "gateway_secret_uses_total", "counter", "Requests verified, by the label of the secret.", ("source", "secret")
)
DEDUPE_HITS = Metric(
    "gateway_dedupe_hits_total",
    "counter",
    "Re-sends absorbed, by what told that they are: the delivery's id, or the digest of what was signed.",
    ("source", "by"),
)
CLOCK_SKEW = Metric(
    "gateway_clock_skew_seconds",
    "gauge",
    "This host's clock less the signed time of the source's promptest request of the last minute with any.",
    ("source",),
)
GIVE_UP = Metric(
    "gateway_give_up_seconds",
    "gauge",
    "How long until the source's provider drops deliveries or disables the URL, while they are refused; else absent.",
    ("source",),
    shared=True,
)
LAST_DELIVERY = Metric(
    "gateway_last_delivery_timestamp_seconds",
    "gauge",
    "When the source's newest delivery in the inbox was received, in seconds since 1970.",
    ("source",),
    shared=True,
)

COMMIT_SECONDS = Metric(
    "gateway_commit_duration_seconds", "histogram", "How long a commit of the inbox took, fsync included.", (), _QUICK
)
COMMIT_OPERATIONS = Metric(
    "gateway_commit_operations", "histogram", "How many operations shared a commit of the inbox.", (), _MANY
)
ENTRIES = Metric(
    "gateway_inbox_entries",
    "gauge",
    "Entries in the inbox, by source and state (pending, leased, forwarded, skipped, dead).",
    ("source", "state"),
    shared=True,
)
OLDEST_PENDING = Metric(
    "gateway_oldest_pending_age_seconds",
    "gauge",
    "How long ago the oldest delivery was received that is pending or leased; 0 where there is none.",
    shared=True,
)
COUNTED_AT = Metric(
    "gateway_inbox_counted_timestamp_seconds",
    "gauge",
    "When the entries of the inbox were last counted, in seconds since 1970.",
    shared=True,
)
DISK_FREE = Metric("gateway_disk_free_bytes", "gauge", "What this user may still write on the inbox's disk.")
DISK_SIZE = Metric("gateway_disk_size_bytes", "gauge", "The size of the inbox's disk.")
WAL = Metric("gateway_wal_bytes", "gauge", "The size of SQLite's write-ahead log; absent for other inboxes.")

ATTEMPTS = Metric(
    "gateway_forward_attempts_total",
    "counter",
    "Requests made to the event API, by outcome, the label that the log and `gateway show` have.",
    ("outcome",),
)
ATTEMPT_SECONDS = Metric(
    "gateway_forward_duration_seconds", "histogram", "How long requests to the event API took.", (), _REMOTE
)
BATCH_EVENTS = Metric("gateway_forward_batch_events", "histogram", "Events in a request to the event API.", (), _MANY)
EVENTS = Metric("gateway_forwarded_events_total", "counter", "Events that the event API accepted.", ("source",))
SETTLEMENTS = Metric(
    "gateway_settlements_total",
    "counter",
    "What became of leased entries: forwarded, skipped, dead, or pending for another try.",
    ("source", "state"),
)
DEAD_LETTERS = Metric(
    "gateway_dead_letters_total",
    "counter",
    "Entries that became dead letters, by whose refusal: the transform, or the event API.",
    ("source", "cause"),
)
END_TO_END = Metric(
    "gateway_end_to_end_seconds",
    "histogram",
    "From the receipt of a delivery to the event API's acceptance of its events, in seconds.",
    ("source",),
    _LASTING,
    exemplars=True,
)
LANE_STATE = Metric(
    "gateway_lane_state",
    "gauge",
    "1 for the state in which forwarding is: healthy, failing (it backs off) or paused (it waits for an operator).",
    ("state",),
)
SOURCES_APART = Metric(
    "gateway_source_apart",
    "gauge",
    "1 while a source is sent apart from others, as its entries are refused or its transform hangs.",
    ("source",),
)
LEASES_LOST = Metric(
    "gateway_leases_lost_total", "counter", "Leases that ran out before their entry was settled.", ("source",)
)

LOOP_LAG = Metric(
    "gateway_event_loop_lag_seconds",
    "histogram",
    "How much later than asked the event loop ran a timer, measured twice a second.",
    (),
    _QUICK,
)
CRASHES = Metric("gateway_crashes_total", "counter", "Faults of the gateway's own, by where they came up.", ("where",))
RELOADS = Metric(
    "gateway_config_reloads_total", "counter", "Configurations read again, by outcome: taken or refused.", ("outcome",)
)
LOG_DROPPED = Metric("gateway_log_lines_dropped_total", "counter", "Log lines dropped because nobody read them.")
SPANS_DROPPED = Metric(
    "gateway_spans_dropped_total",
    "counter",
    "Spans that did not reach the collector, by reason: queue (it was full) or export (it did not take them).",
    ("reason",),
)
WORKER_RESTARTS = Metric(
    "gateway_worker_restarts_total",
    "counter",
    "Workers that ended although nobody wanted it, and were started anew; told by the supervisor of several.",
    ("worker",),
)
BUILD = Metric(
    "gateway_build_info", "gauge", "1, with the versions of the gateway and of Python.", ("version", "python")
)

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
