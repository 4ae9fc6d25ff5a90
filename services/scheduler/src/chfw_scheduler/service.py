"""The scheduler, put together: merges consent, distributes, arms, cancels, and keeps the ledger."""

from collections.abc import Sequence

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.jobs import jobs_tick
from chfw_common.runtime.lines import in_line
from chfw_common.runtime.service import Consume, Gauge, Service, Source, Tx
from chfw_common.topology import (
    HUB_RESPONSE,
    INSTRUCTION_RECEIVED,
    RELEASE_NOTIFIED,
    ROLLOUT_DECISION,
    ROLLOUT_FENCED,
    SMI_UPDATED,
)
from chfw_scheduler.domain.rollout import Pacing
from chfw_scheduler.domain.totals import Pace
from chfw_scheduler.settings import Settings
from chfw_scheduler.stages.announce import Announce
from chfw_scheduler.stages.claim import Claim
from chfw_scheduler.stages.decide import Decide
from chfw_scheduler.stages.merge import Merge
from chfw_scheduler.stages.observe import Observe
from chfw_scheduler.stages.report import Report
from chfw_scheduler.stages.respond import Respond
from chfw_scheduler.stages.watch import Watch
from chfw_scheduler.store import counts, ledger, releases, waiting

WAITS_TOO_LONG = 300.0
"""Machine seconds after which an instruction that waits for the notice of its release is an alarm."""

Rows = Sequence[tuple[tuple[str, ...], float]]


def build(settings: Settings) -> Service:
    """The service as data."""
    pacing = settings.pacing()
    announce = Announce(pacing)
    decide = Decide(pacing, settings.edges, settings.max_skew, settings.forward_within)
    merge = Merge(pacing)
    urgent, patient = [decide.urgent()], [announce.job(), merge.job(), decide.patient()]
    return Service(
        name="scheduler",
        consumes={
            RELEASE_NOTIFIED: Consume(in_line(announce.handle, decide.stand_still)),
            INSTRUCTION_RECEIVED: Consume(merge.handle, Source.FAUST),
            HUB_RESPONSE: Consume(Respond(pacing).handle),
            SMI_UPDATED: Consume(Observe(pacing).handle),
            ROLLOUT_DECISION: Consume(in_line(decide.handle, decide.stand_still), Source.CONTROL),
            ROLLOUT_FENCED: Consume(decide.fenced, Source.CONTROL),
        },
        ticks=[
            Claim(pacing).tick(),
            Watch(pacing).tick(),
            decide.tick(),
            Report(Pace(settings.totals_every, settings.risk_every)).tick(),
            jobs_tick(urgent, "call_back", urgent=True),
            jobs_tick(patient),
        ],
        jobs=[*urgent, *patient],
        gauges=[
            Gauge("chfw_rollout_hubs", _hubs),
            Gauge("chfw_rollout_anomalies", _anomalies),
            Gauge("chfw_instructions_waiting_seconds", _waiting, alarm="instruction_waits", alarm_above=WAITS_TOO_LONG),
            Gauge("chfw_rollout_oldest_wait_seconds", _oldest_waits, "waiting", limits=_limits(pacing)),
        ],
    )


async def _hubs(tx: Tx, now: Instant) -> Rows:  # noqa: ARG001 - the shape of a gauge
    return [((release, state), float(n)) for (release, state), n in (await counts.states(tx)).items()]


def _limits(pacing: Pacing) -> dict[str, float]:
    """How many seconds a hub may wait for each thing before time becomes a fact."""
    limits = {
        ledger.DELIVERY: pacing.delivery_timeout,
        ledger.OUTCOME: pacing.silent_after,
        ledger.CONFIRMATION: pacing.confirm_timeout,
    }
    return {awaits: limit.total_seconds() for awaits, limit in limits.items()}


async def _oldest_waits(tx: Tx, now: Instant) -> Rows:
    found = await ledger.oldest_waits(tx)
    return [((release, awaits), max(0.0, (now - since).total_seconds())) for release, awaits, since in found]


async def _anomalies(tx: Tx, now: Instant) -> Rows:  # noqa: ARG001 - the shape of a gauge
    rows = await tx.fetch(releases.SQL["count_anomalies"])
    return [((row["release_id"],), float(row["n"])) for row in rows]


async def _waiting(tx: Tx, now: Instant) -> Rows:  # noqa: ARG001 - the shape of a gauge
    at = machine_now()
    return [((release_id,), (at - since).total_seconds()) for release_id, since in await waiting.oldest(tx)]
