"""Notices and decisions as intake keeps them."""

from typing import Any

from chfw_common.events.decision import RolloutDecision
from chfw_common.events.release import ReleaseNotified
from chfw_common.events.waves import waves_from_json, waves_to_json
from chfw_common.kernel.applicability import Image
from chfw_common.kernel.ids import ReleaseId
from chfw_common.kernel.rollout import Mode, Rule
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx
from chfw_instruction.domain.terms import Terms

SQL = load_queries("chfw_instruction.store", "releases.sql")
_ACTIVE = "Active"


async def save_notice(tx: Tx, notice: ReleaseNotified) -> None:
    """Keep a notice unless a newer version is known."""
    cpl = notice.cpl
    active = cpl.state == _ACTIVE
    await tx.execute(
        SQL["save_notice"],
        notice.release_id,
        notice.version,
        image_to_json(cpl.image),
        active,
        notice.rule,
        notice.automatic_date,
        waves_to_json(notice.waves),
        notice.pilot_opens,
        notice.pilot_places,
    )


async def save_decision(tx: Tx, decision: RolloutDecision) -> None:
    """Keep a decision unless a newer epoch is known."""
    await tx.execute(
        SQL["save_decision"],
        decision.release_id,
        decision.epoch,
        decision.mode,
        decision.automatic_date,
        waves_to_json(decision.waves),
    )


async def load_terms(tx: Tx, release_id: ReleaseId) -> Terms | None:
    """What a release lays down now, or None when intake does not know it."""
    row = await tx.fetchrow(SQL["terms"], release_id)
    if row is None:
        return None
    return Terms(
        release_id=ReleaseId(row["release_id"]),
        image=image_from_json(row["image"]),
        cpl_active=row["cpl_active"],
        rule=Rule(row["rule"]),
        mode=Mode(row["mode"]),
        automatic_date=row["automatic_date"],
        waves=waves_from_json(row["waves"]),
        pilot_opens=row["pilot_opens"],
        pilot_places=row["pilot_places"],
    )


def image_to_json(image: Image) -> dict[str, Any]:
    """An image as it is stored; sets are sorted so that the same image is the same document."""
    return {
        "manufacturer": image.manufacturer,
        "model": image.model,
        "hardware": sorted(image.hardware),
        "firmware": image.firmware,
        "predecessors": sorted(image.predecessors),
        "gbcs_versions": sorted(image.gbcs_versions),
    }


def image_from_json(stored: dict[str, Any]) -> Image:
    """The image of a stored document."""
    return Image(
        manufacturer=stored["manufacturer"],
        model=stored["model"],
        hardware=frozenset(stored["hardware"]),
        firmware=stored["firmware"],
        predecessors=frozenset(stored["predecessors"]),
        gbcs_versions=frozenset(stored["gbcs_versions"]),
    )
