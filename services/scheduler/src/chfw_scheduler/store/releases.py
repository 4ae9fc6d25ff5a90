"""Releases, decisions, fences and anomalies."""

from collections.abc import Iterable, Sequence
from typing import Any

from chfw_common.events.decision import RolloutDecision
from chfw_common.events.release import ReleaseNotified
from chfw_common.events.waves import waves_from_json, waves_to_json
from chfw_common.kernel.applicability import Image
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import Mode, Rule
from chfw_common.runtime.advisory import lock_key
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx
from chfw_scheduler.domain.hear import Anomaly
from chfw_scheduler.domain.merge import Answer, Terms
from chfw_scheduler.domain.rollout import Decision, Pacing, Rollout, standing_still

SQL = load_queries("chfw_scheduler.store", "releases.sql")


def rollout_lock(release_id: ReleaseId) -> int:
    """The advisory lock of a release: claims share it, a decision takes it alone (I6)."""
    return lock_key("scheduler", "rollout", release_id)


async def share_release(tx: Tx, release_id: ReleaseId) -> None:
    """Keep decisions out until this transaction ends. A statement of its own: what is read next is later."""
    await tx.execute("select pg_advisory_xact_lock_shared($1)", rollout_lock(release_id))


async def own_release(tx: Tx, release_id: ReleaseId) -> None:
    """Wait for every claim under way, and keep new ones out until this transaction ends."""
    await tx.execute("select pg_advisory_xact_lock($1)", rollout_lock(release_id))


async def try_share_release(tx: Tx, release_id: ReleaseId) -> bool:
    """Like `share_release`, for those who hold rows already: says no instead of waiting."""
    return bool(await tx.fetchval("select pg_try_advisory_xact_lock_shared($1)", rollout_lock(release_id)))


async def share_at_once(tx: Tx, rollout: Rollout) -> Rollout:
    """Share the release for those who hold rows already, and read it again: no decision comes between from now on.

    Raises TransientError while a decision is being stored: nobody waits here.
    """
    shared = await try_share_release(tx, rollout.release_id)
    current = await read_rollout(tx, rollout.pacing, rollout.release_id) if shared else None
    if current is None:
        raise TransientError(f"a decision on {rollout.release_id} is being stored")
    return current


async def upsert_release(tx: Tx, notice: ReleaseNotified, now: Instant) -> None:
    """Store a notice. A CPL entry that becomes Active does so now."""
    cpl = notice.cpl
    await tx.execute(
        SQL["upsert_release"],
        notice.release_id,
        notice.version,
        cpl.manufacturer,
        cpl.model,
        list(cpl.hardware),
        cpl.firmware,
        cpl.image_hash,
        list(cpl.predecessors),
        list(cpl.gbcs_versions),
        cpl.state,
        notice.rule,
        notice.lone_lead,
        notice.answer_min,
        notice.automatic_date,
        waves_to_json(notice.waves),
        notice.pilot_opens,
        notice.notified_at,
        now,
    )


async def read_rollouts(tx: Tx, pacing: Pacing, release_ids: Sequence[ReleaseId] | None = None) -> list[Rollout]:
    """The releases named, or all, each with the decision in force."""
    rows = await tx.fetch(SQL["read_rollouts"], None if release_ids is None else list(release_ids))
    return [_rollout(row, pacing) for row in rows]


async def read_rollout(tx: Tx, pacing: Pacing, release_id: ReleaseId) -> Rollout | None:
    """One release, or None while its notice has not come."""
    found = await read_rollouts(tx, pacing, [release_id])
    return found[0] if found else None


async def upsert_decision(tx: Tx, decision: RolloutDecision) -> bool:
    """Store a decision; says whether it is newer than the one known."""
    row = await tx.fetchval(
        SQL["upsert_decision"],
        decision.release_id,
        decision.epoch,
        decision.min_epoch,
        decision.mode,
        decision.mode_since,
        decision.automatic_date,
        waves_to_json(decision.waves),
    )
    return row is not None


async def read_decision(tx: Tx, release_id: ReleaseId) -> Any:
    """The decision in force as stored, or None."""
    return await tx.fetchrow(SQL["read_decision"], release_id)


async def note_anomalies(
    tx: Tx, release_id: ReleaseId, found: Iterable[tuple[HubId, Anomaly | None]], now: Instant
) -> None:
    """Write contradictions down, each once."""
    rows = [(hub, anomaly) for hub, anomaly in found if anomaly is not None]
    if rows:
        await tx.execute(
            SQL["insert_anomalies"],
            release_id,
            [hub for hub, _ in rows],
            [anomaly.kind for _, anomaly in rows],
            [anomaly.ref for _, anomaly in rows],
            now,
        )


async def note_late_answers(
    tx: Tx, release_id: ReleaseId, hubs: Sequence[HubId], answer: Answer, request_id: str, now: Instant
) -> list[HubId]:
    """Keep answers that came when the hub was armed already; gives the hubs for which that is news."""
    if not hubs:
        return []
    rows = await tx.fetch(
        SQL["insert_late_answers"], release_id, list(hubs), answer.party, answer.party_seq, request_id, now
    )
    return sorted(HubId(row["hub"]) for row in rows)


async def late_before(tx: Tx, release_id: ReleaseId, hubs: Sequence[HubId], answer: Answer) -> list[HubId]:
    """Those of the hubs for which this answer, or a newer one of the Party, came too late before."""
    if not hubs:
        return []
    rows = await tx.fetch(SQL["late_before"], release_id, list(hubs), answer.party, answer.party_seq)
    return [HubId(row["hub"]) for row in rows]


def _rollout(row: Any, pacing: Pacing) -> Rollout:
    decided = row["epoch"] is not None
    automatic_date = row["automatic_date"] if decided else row["first_automatic_date"]
    decision = Decision(row["epoch"], row["min_epoch"], Mode(row["mode"]), row["mode_since"]) if decided else Decision()
    terms = Terms(Rule(row["rule"]), automatic_date, row["lone_lead"], row["answer_min"], row["pilot_opens"])
    return Rollout(
        release_id=ReleaseId(row["release_id"]),
        image=Image(
            manufacturer=row["manufacturer"],
            model=row["model"],
            hardware=frozenset(row["hardware"]),
            firmware=row["firmware"],
            predecessors=frozenset(row["predecessors"]),
            gbcs_versions=frozenset(row["gbcs_versions"]),
        ),
        image_hash=row["image_hash"],
        terms=terms,
        decision=standing_still(decision) if row["stands_still"] else decision,
        pacing=pacing,
        cpl_active=row["cpl_state"] == "Active",
        cpl_active_since=row["cpl_active_since"],
        waves=waves_from_json(row["waves"] if decided else row["first_waves"]),
    )
