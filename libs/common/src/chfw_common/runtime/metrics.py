"""The closed catalogue of metrics. Names, labels and help texts stand here and nowhere else."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from chfw_common.topology import LANES, Topic

ALARMS = (
    "position",
    "instruction_waits",
    "parked_event",
    "held_partition",
    "tick",
    "set_aside",
    "waiting",
    "out_of_line",
    "audit",
)
"""What `chfw_alarm` can be raised for.

`position`: partitions that cannot be read on (`chfw_partition_stopped`). `instruction_waits`: an instruction has waited
too long for the notice of its release (`chfw_instructions_waiting_seconds`). `parked_event`: an event that the broker
refuses. `held_partition`: a partition that cannot be written. `tick`: a tick that fails. `set_aside`: work that failed
again and again. `waiting`: a hub has waited beyond the limit of what it waits for (`chfw_rollout_oldest_wait_seconds`).
`out_of_line`: a decision or a notice whose number is not the one that was due (`chfw_out_of_line`).
`audit`: the audit log is not what was signed.
"""

OVER_QUOTA = (
    "too_many_requests",
    "too_many_at_once",
    "too_many_large_bodies",
    "too_many_open_requests",
    "too_many_open_entries",
    "too_many_recent_entries",
    "too_many_entries_today",
    "too_many_exports",
    "too_many_bodies",
)
"""The codes of the answers 429. Which Party it was stands in no metric."""

GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "chfw_outbox_rows": ("Events that wait for the relay, per lane", ("lane",)),
    "chfw_outbox_age_seconds": ("Machine age of the oldest event that waits for the relay", ()),
    "chfw_parked_events": ("Events that the broker refuses and that wait for a person", ()),
    "chfw_held_partitions": ("Partitions that cannot be written, per lane", ("lane",)),
    "chfw_parked_records": ("Records that wait for a person", ("topic",)),
    "chfw_out_of_line": ("Decisions and notices that came out of line and wait for a person", ("topic",)),
    "chfw_set_aside": ("Work that failed again and again and waits for a person, per tick", ("tick",)),
    "chfw_jobs_open": ("Jobs that are not done", ()),
    "chfw_instructions_waiting_seconds": (
        "Machine age of the oldest instruction that waits for the notice of its release, per release",
        ("rollout",),
    ),
    "chfw_rollout_hubs": ("Hubs of a release by state, read from the ledger", ("rollout", "state")),
    "chfw_rollout_oldest_wait_seconds": (
        "How long the hub that has waited longest has waited, by what it waits for",
        ("rollout", "awaits"),
    ),
    "chfw_rollout_anomalies": ("Facts that contradicted each other, per release", ("rollout",)),
}
"""Read from Postgres by the service that owns the truth (`Service.gauges` and the runtime's own)."""


class Metrics:
    """The metrics of one service, on a registry of their own."""

    def __init__(self, service: str, topics: Iterable[Topic]) -> None:
        self.registry = registry = CollectorRegistry()
        names = sorted(topic.name for topic in topics)
        self._records = Counter(
            "chfw_consumed_records_total", "Records settled", ("topic", "outcome"), registry=registry
        )
        self._consume_seconds = Histogram(
            "chfw_consume_seconds", "Machine seconds to settle one offer of records", ("topic",), registry=registry
        )
        self._lag_records = Gauge(
            "chfw_consumer_lag_records", "Records not yet settled", ("topic", "partition"), registry=registry
        )
        self._stopped = Gauge(
            "chfw_partition_stopped",
            "1 for each partition that is not read on until a person has decided",
            ("topic", "partition"),
            registry=registry,
        )
        self._stopped_now: set[tuple[str, int]] = set()
        self._relayed = Counter("chfw_outbox_relayed_total", "Events relayed", ("lane",), registry=registry)
        self._ticks = Counter("chfw_tick_calls_total", "Calls of ticks", ("tick",), registry=registry)
        self._tick_seconds = Histogram("chfw_tick_seconds", "Machine seconds of one call", ("tick",), registry=registry)
        self._requests = Histogram(
            "chfw_http_request_seconds", "Requests by route template", ("method", "route", "status"), registry=registry
        )
        self._refused = Counter(
            "chfw_http_over_quota_total", "Requests answered 429, by code", ("code",), registry=registry
        )
        self._alarm = Gauge("chfw_alarm", "1 while a person is needed", ("kind",), registry=registry)
        self._info = Gauge("chfw_service_info", "Always 1", ("service",), registry=registry)
        self._gauges = {name: Gauge(name, text, labels, registry=registry) for name, (text, labels) in GAUGES.items()}
        self._info.labels(service).set(1)
        self._failing: set[str] = set()
        for name in names:
            for outcome in ("applied", "parked"):
                self._records.labels(name, outcome)
            self._consume_seconds.labels(name)
        for lane in LANES:
            self._relayed.labels(str(lane))
        for code in OVER_QUOTA:
            self._refused.labels(code)
        for kind in ALARMS:
            self._alarm.labels(kind).set(0)

    def consumed(self, topic: str, applied: int, parked: int) -> None:
        """Records were settled."""
        self._records.labels(topic, "applied").inc(applied)
        self._records.labels(topic, "parked").inc(parked)

    def consume_took(self, topic: str, seconds: float) -> None:
        """One offer was settled."""
        self._consume_seconds.labels(topic).observe(seconds)

    def lag(self, topic: str, partition: int, records: int) -> None:
        """How many records of a partition are not settled."""
        self._lag_records.labels(topic, str(partition)).set(records)

    def relayed(self, lane: int, rows: int) -> None:
        """Events were acknowledged by the broker."""
        self._relayed.labels(str(lane)).inc(rows)

    def ticked(self, tick: str, seconds: float) -> None:
        """A tick was called."""
        self._ticks.labels(tick).inc()
        self._tick_seconds.labels(tick).observe(seconds)

    def tick_fails(self, tick: str, *, on: bool) -> None:
        """A tick fails unexpectedly, or does no longer. The alarm is on while any does."""
        if on != (tick in self._failing):
            (self._failing.add if on else self._failing.discard)(tick)
            self.alarm("tick", on=bool(self._failing))

    def requested(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    def refused(self, code: str) -> None:
        """A request was answered 429. The code is one of OVER_QUOTA."""
        if code not in OVER_QUOTA:
            raise ValueError(f"no refusal over a quota is called {code}")
        self._refused.labels(code).inc()

    def partition_stopped(self, topic: str, partition: int, *, on: bool) -> None:
        """A partition is not read on, or is again: a series for each, and the alarm while there is one."""
        if on:
            self._stopped_now.add((topic, partition))
            self._stopped.labels(topic, str(partition)).set(1)
        elif (topic, partition) in self._stopped_now:
            self._stopped_now.discard((topic, partition))
            self._stopped.remove(topic, str(partition))
        self.alarm("position", on=bool(self._stopped_now))

    def alarm(self, kind: str, *, on: bool) -> None:
        """Raise or clear an alarm. The kind is one of ALARMS."""
        if kind not in ALARMS:
            raise ValueError(f"no alarm is called {kind}")
        self._alarm.labels(kind).set(1 if on else 0)

    def read(self, name: str, rows: Iterable[tuple[tuple[str, ...], float]]) -> None:
        """Replace a gauge by what a query just said; series that are gone disappear."""
        gauge = self._gauges[name]
        gauge.clear()
        for labels, value in rows:
            (gauge.labels(*labels) if labels else gauge).set(value)
