"""Releases and the decisions on them."""

from typing import Any

from chfw_common.events.release import ReleaseNotified
from chfw_common.events.rollout_progress import ProgressKind, RolloutProgressed
from chfw_common.events.waves import waves_from_json, waves_to_json
from chfw_common.kernel.ids import ReleaseId, UserId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import Mode
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx
from chfw_governance.domain.decide import Decided, Standing

SQL = load_queries("chfw_governance.store", "releases.sql")
REQUESTED = "requested"
_STATES = {ProgressKind.FENCING: "fencing", ProgressKind.EFFECTIVE: "effective"}


async def open_release(tx: Tx, notice: ReleaseNotified) -> None:
    """Begin a release at epoch 0; a newer notice of a known one says whether its CPL entry is Active."""
    await tx.execute(
        SQL["open_release"],
        notice.release_id,
        notice.version,
        notice.notified_at,
        notice.automatic_date,
        waves_to_json(notice.waves),
        notice.cpl.state == "Active",
    )


async def lock_standing(tx: Tx, release_id: ReleaseId) -> Standing | None:
    """Where a release stands, locked until the transaction ends; None when it is not known."""
    row = await tx.fetchrow(SQL["lock_release"], release_id)
    if row is None:
        return None
    return Standing(
        epoch=row["epoch"],
        min_epoch=row["min_epoch"],
        mode=Mode(row["mode"]),
        mode_since=row["mode_since"],
        automatic_date=row["automatic_date"],
        waves=waves_from_json(row["waves"]),
        paused_from=None if row["paused_from"] is None else Mode(row["paused_from"]),
        confirmed=row["confirmed"],
        cpl_active=row["cpl_active"],
    )


async def pilot_tried(tx: Tx, release_id: ReleaseId) -> bool:
    """Whether a hub of the pilot has come to an end, as the ledger has it."""
    return bool(await tx.fetchval(SQL["pilot_tried"], release_id))


async def add_decision(tx: Tx, release_id: ReleaseId, decided: Decided, decided_by: UserId, now: Instant) -> None:
    """Write a decision down and move the release to it."""
    standing = decided.standing
    await tx.execute(
        SQL["move_release"],
        release_id,
        standing.epoch,
        standing.min_epoch,
        standing.mode,
        standing.mode_since,
        standing.automatic_date,
        waves_to_json(standing.waves),
        standing.paused_from,
        standing.confirmed,
    )
    await tx.execute(
        SQL["add_decision"],
        release_id,
        decided.epoch,
        decided.min_epoch,
        decided.mode,
        decided.automatic_date,
        waves_to_json(decided.waves),
        decided.reason,
        decided.confirmed_by,
        decided.without_pilot,
        decided_by,
        now,
    )


async def report(tx: Tx, progress: RolloutProgressed) -> None:
    """Take what the scheduler reports into the decision of that epoch; epoch 0 has none.

    Later reports are about the last halt, so those before it follow: they end at 0 when it does.
    """
    await tx.execute(
        SQL["report_decision"],
        progress.release_id,
        progress.epoch,
        _STATES.get(progress.kind, REQUESTED),
        progress.at_risk,
        progress.at,
    )
    await tx.execute(SQL["report_earlier"], progress.release_id, progress.epoch, progress.at_risk)


async def load_decisions(tx: Tx, release_id: ReleaseId) -> list[Any] | None:
    """The decisions on a release by epoch; None when it is not known."""
    if not await tx.fetchval(SQL["knows_release"], release_id):
        return None
    return list(await tx.fetch(SQL["decisions"], release_id))
