"""Jobs: work on more hubs than one transaction may take, as a row with a cursor that survives restarts."""

from collections.abc import Sequence
from typing import Any

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.pieces import FAR, QUERIES
from chfw_common.runtime.service import JobKind, Now, Outgoing, Pieces, Taken, Tick, Tx, Work, due_tick


async def start_job(tx: Tx, kind: str, name: str, args: dict[str, Any], now: Instant, *, queue: str = "") -> bool:
    """Write a job down in the caller's transaction. The same (kind, name) is one job; says whether it is new.

    Jobs of one queue are done one after the other, oldest first; queues take turns, by what their steps cost.
    """
    return await tx.fetchval(QUERIES["start_job"], kind, name, args, now, queue) is not None


def jobs_tick(kinds: Sequence[JobKind], name: str = "jobs", *, relays_last: bool = False, urgent: bool = False) -> Tick:
    """The tick that advances an open job of these kinds by one step: the oldest one of the queue whose turn it is.
    One that fails again and again is set aside, and the next is the oldest.

    Urgent kinds get a tick of their own, so that they wait for nobody.
    """
    steps = {kind.name: kind.step for kind in kinds}

    async def take(tx: Tx, now: Now, limit: int) -> Taken | None:  # noqa: ARG001 - one at a time
        row = await tx.fetchrow(QUERIES["open_job"], list(steps))
        if row is None:
            return None

        async def act() -> Sequence[Outgoing]:
            step = await steps[row["kind"]](tx, row["args"], row["cursor"], now)
            state = "done" if step.cursor is None else "open"
            await tx.execute(QUERIES["advance_job"], row["id"], step.cursor, state, now(), step.cost)
            return step.outgoing

        return Taken([{"job": row["id"], "kind": row["kind"], "name": row["name"]}], act, more=True)

    async def put_off(tx: Tx, work: Work, until: Instant) -> None:
        await tx.execute(QUERIES["put_off_job"], work["job"], "set_aside" if until == FAR else "open")

    async def next_due(tx: Tx, now: Instant) -> Instant | None:
        return now if await tx.fetchval(QUERIES["waiting_job"], list(steps)) else None

    return due_tick(name, Pieces(take, put_off), next_due, limit=1, relays_last=relays_last, urgent=urgent)
