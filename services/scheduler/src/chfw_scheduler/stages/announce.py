"""A release is announced: keep its terms, and enrol the hubs its image may be applied to (a job)."""

from dataclasses import dataclass
from typing import Any

from chfw_common.events.release import ReleaseNotified
from chfw_common.kernel.applicability import inapplicable
from chfw_common.kernel.hubs import HubRecord
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.published import smi
from chfw_common.runtime.jobs import start_job
from chfw_common.runtime.service import Batch, JobKind, JobStep, Outcome, Outgoing, Tx
from chfw_scheduler.domain.facts import Facts, Inventory
from chfw_scheduler.domain.rollout import Pacing, Rollout
from chfw_scheduler.domain.state import show
from chfw_scheduler.stages.progress import progressed
from chfw_scheduler.store import ledger, releases

ENROL = "enrol"
PAGE = 2_000


@dataclass(frozen=True, slots=True)
class Announce:
    """The stage, with the pacing it derives rows by."""

    pacing: Pacing

    async def handle(self, tx: Tx, batch: Batch[ReleaseNotified], now: Instant) -> Outcome:
        """Store notices; the first of a release starts its enrolment."""
        for notice in batch.events:
            await releases.upsert_release(tx, notice)
            await start_job(tx, ENROL, notice.release_id, {"release_id": notice.release_id}, now)
        return Outcome()

    async def step(self, tx: Tx, args: dict[str, Any], cursor: dict[str, Any], now: Instant) -> JobStep:
        """Enrol the next page of the model's hubs."""
        rollout = await releases.read_rollout(tx, self.pacing, ReleaseId(args["release_id"]))
        if rollout is None:
            raise LookupError(f"the job of an unknown release: {args['release_id']}")
        after = HubId(cursor["after"]) if "after" in cursor else None
        image = rollout.image
        page = await smi.page_of_model(tx, image.manufacturer, image.model, sorted(image.hardware), after, PAGE)
        outgoing = await enrol(tx, rollout, page, now)
        done = len(page) < PAGE
        return JobStep(None if done else {"after": page[-1].hub}, outgoing)

    def job(self) -> JobKind:
        """The enrolment job."""
        return JobKind(ENROL, self.step)


async def enrol(tx: Tx, rollout: Rollout, hubs: list[HubRecord], now: Instant) -> list[Outgoing]:
    """Open a ledger row for each hub the image may be applied to and that has none; tell where it stands."""
    rows = []
    for hub in hubs:
        if inapplicable(rollout.image, hub) is None:
            facts = Facts(hub.hub, hub.part, Inventory(hub.smi_version, hub.firmware, hub.status, hub.responsible))
            rows.append((facts, show(facts, rollout, now)))
    new = set(await ledger.enrol(tx, rollout.release_id, rows))
    return progressed(rollout, [(facts, shown, 1) for facts, shown in rows if facts.hub in new])
