"""A release is announced: keep its terms, and enrol the hubs its image may be applied to (a job)."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from chfw_common.events.release import ReleaseNotified
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.published import smi
from chfw_common.runtime.jobs import start_job
from chfw_common.runtime.service import Batch, JobKind, JobStep, Now, Outcome, Outgoing, Tx
from chfw_common.topology import CHUNK
from chfw_scheduler.domain.facts import Facts, recorded
from chfw_scheduler.domain.rollout import Pacing, Rollout
from chfw_scheduler.domain.state import consented, show
from chfw_scheduler.stages.progress import progressed, telling
from chfw_scheduler.store import counts, enrolment, ledger, releases, waiting

ENROL = "enrol"
REDATE = "redate"
MERGE_WAITING = "merge_waiting"
PAGE = CHUNK


@dataclass(frozen=True, slots=True)
class Announce:
    """The stage, with the pacing it derives rows by."""

    pacing: Pacing

    async def handle(self, tx: Tx, batch: Batch[ReleaseNotified], now: Now) -> Outcome:
        """Store notices. The first of a release starts its enrolment, and the merging of the instructions that waited
        for it. One that changes what the image fits starts the enrolment again."""
        for notice in sorted(batch.events, key=attrgetter("release_id")):
            release_id = notice.release_id
            await releases.own_release(tx, release_id)
            at = now()
            before = await releases.read_rollout(tx, self.pacing, release_id)
            await releases.upsert_release(tx, notice, at)
            await counts.begin_telling(tx, release_id, at)
            after = await releases.read_rollout(tx, self.pacing, release_id)
            if after is not None and (before is None or before.image != after.image):
                args = {"release_id": release_id}
                await start_job(tx, ENROL, f"{release_id}:{notice.version}", args, at)
                if before is None and await waiting.any_for(tx, release_id):
                    await start_job(tx, MERGE_WAITING, release_id, args, at)
                if before is not None:
                    await start_job(tx, REDATE, f"{release_id}:notice:{notice.version}", args, at)
        return Outcome()

    async def step(self, tx: Tx, args: dict[str, Any], cursor: dict[str, Any], now: Now) -> JobStep:  # noqa: ARG002 - the shape of a job
        """Enrol the next page of the model's hubs that the image may be applied to.

        No record of the inventory is taken in between the look and the end of the step: what is told while the rows are
        not there yet would be lost.
        """
        release_id = ReleaseId(args["release_id"])
        await enrolment.share(tx)
        await releases.share_release(tx, release_id)
        rollout = await releases.read_rollout(tx, self.pacing, release_id)
        if rollout is None:
            raise LookupError(f"the job of an unknown release: {release_id}")
        after = HubId(cursor["after"]) if "after" in cursor else None
        image = rollout.image
        page = await smi.page_of_model(tx, image.manufacturer, image.model, sorted(image.hardware), after, PAGE)
        found = [Facts(hub.hub, hub.part, recorded(hub)) for hub in page]
        outgoing = await open_rows(tx, rollout, [facts for facts in found if rollout.misfit(facts.inventory) is None])
        done = len(page) < PAGE
        return JobStep(None if done else {"after": page[-1].hub}, outgoing)

    def job(self) -> JobKind:
        """The enrolment job."""
        return JobKind(ENROL, self.step)


async def open_rows(tx: Tx, rollout: Rollout, found: Sequence[Facts]) -> list[Outgoing]:
    """Open a ledger row for each of these hubs that has none; tell where it stands. The release is shared: a decision
    that came between would not find the new rows."""
    rows, told = [], []
    for facts in found:
        agreed = consented(facts, rollout)
        shown = show(facts, rollout, agreed)
        rows.append((facts, shown))
        told.append(telling(facts, shown, agreed, 1))
    new = await ledger.enrol(tx, rollout.release_id, rows)
    return progressed(rollout, [one for one in told if one.hub in new])
