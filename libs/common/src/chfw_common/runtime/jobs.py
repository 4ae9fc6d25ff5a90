"""Jobs: work on more hubs than one transaction may take, as a row with a cursor that survives restarts."""

from collections.abc import Sequence
from typing import Any

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.service import JobKind, Now, Tick, TickResult, Tx


async def start_job(tx: Tx, kind: str, name: str, args: dict[str, Any], now: Instant) -> bool:
    """Write a job down in the caller's transaction. The same (kind, name) is one job; says whether it is new."""
    row = await tx.fetchval(
        """insert into job (kind, name, args, cursor, state, created_at) values ($1, $2, $3, '{}', 'open', $4)
           on conflict (kind, name) do nothing returning id""",
        kind,
        name,
        args,
        now,
    )
    return row is not None


def jobs_tick(kinds: Sequence[JobKind], name: str = "jobs", *, relays_last: bool = False, urgent: bool = False) -> Tick:
    """The tick that advances the oldest open job of these kinds by one step.

    Urgent kinds get a tick of their own, so that they wait for nobody.
    """
    steps = {kind.name: kind.step for kind in kinds}

    async def run(tx: Tx, now: Now) -> TickResult:
        row = await tx.fetchrow(
            "select * from job where state = 'open' and kind = any($1::text[]) order by id limit 1 for update",
            list(steps),
        )
        if row is None:
            return TickResult()
        step = await steps[row["kind"]](tx, row["args"], row["cursor"], now)
        finished = step.cursor is None
        await tx.execute(
            """update job set cursor = coalesce($2, cursor), steps = steps + 1, state = $3,
                              done_at = case when $3 = 'done' then $4::timestamptz end
               where id = $1""",
            row["id"],
            step.cursor,
            "done" if finished else "open",
            now(),
        )
        return TickResult(step.outgoing, more=True)

    async def next_due(tx: Tx, now: Instant) -> Instant | None:
        waiting = await tx.fetchval(
            "select exists (select 1 from job where state = 'open' and kind = any($1::text[]))", list(steps)
        )
        return now if waiting else None

    return Tick(name, run, next_due, relays_last=relays_last, urgent=urgent)
