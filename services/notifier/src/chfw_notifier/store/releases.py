"""Releases as announced, with the decision in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from chfw_common.events.decision import RolloutDecision
from chfw_common.events.release import ReleaseNotified
from chfw_common.events.waves import waves_from_json, waves_to_json
from chfw_common.kernel.ids import PartyId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import ENDS, Mode
from chfw_common.kernel.waves import Wave
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx

SQL = load_queries("chfw_notifier.store", "releases.sql")


@dataclass(frozen=True, slots=True)
class Word:
    """What everybody was told of a release: the event it came by, and the payload."""

    event_id: UUID
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Release:
    """A release: its notice, and mode, epoch, automatic date and waves in force.

    `decided` and `progressed` are the last decision and the last totals that were told; None before the first.
    """

    notice: ReleaseNotified
    epoch: int
    mode: Mode
    automatic_date: Instant
    waves: tuple[Wave, ...]
    decided: Word | None = None
    progressed: Word | None = None

    @property
    def takes_instructions(self) -> bool:
        """Whether a request on it can be accepted, as far as it does not depend on the time or on hubs.

        Intake refuses the whole request otherwise. A release that is held or paused takes instructions.
        """
        return self.mode not in ENDS and self.notice.cpl.state == "Active"


async def add(tx: Tx, notice: ReleaseNotified) -> bool:
    """Announce a release; says whether its id is new."""
    document = notice.model_dump(mode="json")
    added = await tx.fetchval(
        SQL["add_release"],
        notice.release_id,
        notice.version,
        document,
        notice.notified_at,
        notice.automatic_date,
        waves_to_json(notice.waves),
    )
    return added is not None


async def revise(tx: Tx, notice: ReleaseNotified) -> None:
    """Put a notice in the place of the version before it. Needs the fan-out lock."""
    await tx.execute(SQL["revise_release"], notice.release_id, notice.version, notice.model_dump(mode="json"))


async def move(tx: Tx, decision: RolloutDecision, word: Word) -> None:
    """Keep the decision, and how it is told, unless a newer one is known."""
    await tx.execute(
        SQL["move_release"],
        decision.release_id,
        decision.epoch,
        decision.mode,
        decision.automatic_date,
        waves_to_json(decision.waves),
        word.payload,
        word.event_id,
    )


async def keep_progress(tx: Tx, release_id: ReleaseId, at: Instant, word: Word) -> None:
    """Keep the totals as of an instant, and how they are told, unless later ones are known."""
    await tx.execute(SQL["keep_progress"], release_id, word.payload, word.event_id, at)


async def find(tx: Tx, release_id: ReleaseId) -> Release | None:
    """One release."""
    row = await tx.fetchrow(SQL["release"], release_id)
    return _release(row) if row else None


async def find_all(tx: Tx) -> list[Release]:
    """All releases, the newest notice first."""
    return [_release(row) for row in await tx.fetch(SQL["releases"])]


async def find_open(tx: Tx) -> list[Release]:
    """Releases that are neither stopped nor revoked, in the order of their notices."""
    return [_release(row) for row in await tx.fetch(SQL["open_releases"])]


async def add_parties(tx: Tx, release_id: ReleaseId, parties: Sequence[PartyId]) -> None:
    """Note who is given the notice."""
    await tx.execute(SQL["add_parties"], release_id, parties)


async def parties_of(tx: Tx, release_id: ReleaseId) -> list[PartyId]:
    """Who was given the notice."""
    return [row["party"] for row in await tx.fetch(SQL["parties_of"], release_id)]


def _release(row: Any) -> Release:
    return Release(
        ReleaseNotified.model_validate(row["notice"]),
        row["epoch"],
        Mode(row["mode"]),
        row["automatic_date"],
        waves_from_json(row["waves"]),
        _word(row["decided_event"], row["decided"]),
        _word(row["progressed_event"], row["progressed"]),
    )


def _word(event_id: UUID | None, payload: dict[str, Any] | None) -> Word | None:
    return None if event_id is None or payload is None else Word(event_id, payload)
