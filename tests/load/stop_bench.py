"""What a stop costs among many hubs: storing it, declaring it effective, the first step of the call-back job.

usage: python -m tests.load.stop_bench [--hubs 50000] [--rounds 7] [--plans]

A Postgres of its own with durable commits. The ledger is filled by one statement: a tenth of the hubs is armed, three
tenths are scheduled, the others confirmed. Then halt after halt goes through the handlers of the scheduler, first warm,
then each as the first work after a restart of Postgres. The time runs from the call of the handler to its commit.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path

import asyncpg

from chfw_cli.local.postgres import PostgresServer
from chfw_cli.local.state import StateDir
from chfw_common.kernel.rollout import Mode
from chfw_common.runtime.database import open_database
from chfw_common.runtime.roles import install_schemas
from chfw_common.topology import HUB_PARTITIONS
from chfw_scheduler.store import counts, ledger
from tests.service.scheduler.stand import Stand, hubs_of
from tests.support.release import RELEASE

DATABASE = "bench"
_ARMED, _WAITING = "g % 10 = 0", "g % 10 between 1 and 3"
_FILLED = {
    "part": f"(g % {HUB_PARTITIONS})::smallint",
    "hub": "1000000 + g",
    "state": f"case when {_ARMED} then 'armed' when {_WAITING} then 'scheduled' else 'confirmed' end",
    "arm_epoch": f"case when {_WAITING} then 0 else 1 end",
    "arm_counter": f"case when {_WAITING} then 0 else g end",
    "arm_at": f"case when {_WAITING} then null else $1::timestamptz end",
    "arm_fires_at": f"case when {_WAITING} then null else $1::timestamptz end",
    "outcome": f"case when {_ARMED} or {_WAITING} then null else 0 end",
    "claim_at": f"case when {_WAITING} then $1::timestamptz + g * interval '1 second' end",
    "check_at": f"case when {_ARMED} then $1::timestamptz + g * interval '1 second' end",
}
"""What differs from the one hub that was enrolled by the scheduler itself."""
_COUNT = """
insert into tally (release_id, part, hubs)
select release_id, part, jsonb_object_agg(key, n) from (
    select release_id, part, case when state = 'armed' then 'armed:1' else state end as key, count(*) as n
    from ledger group by 1, 2, 3
) found group by release_id, part
on conflict (release_id, part) do update set hubs = excluded.hubs
"""


async def fill(dsn: str, hubs: int) -> None:
    """Announce a release and put hubs into its ledger."""
    stand = Stand(await open_database(dsn, "scheduler"))
    await stand.enrolled(hubs_of(3, 1))
    await stand.decide(1, Mode.RUN)
    await stand.database.close()
    # As an administrator: a service has limits on what a statement may take.
    admin = await asyncpg.connect(dsn, server_settings={"search_path": "scheduler", "statement_timeout": "0"})
    names = [row["attname"] for row in await admin.fetch(_COLUMNS)]
    filled = ", ".join(_FILLED.get(name, f"l.{name}") for name in names)
    inserted = f"insert into ledger ({', '.join(names)}) select {filled} from ledger l, generate_series(1, {hubs}) g"
    await admin.execute(inserted, stand.now)
    await admin.execute(_COUNT)
    await admin.execute("vacuum analyze ledger")
    wrong = await counts.miscounts(admin)
    await admin.close()
    if wrong:
        raise RuntimeError(f"the counts are wrong: {wrong[:3]}")


_COLUMNS = """
select attname from pg_attribute where attrelid = 'ledger'::regclass and attnum > 0 and not attisdropped order by attnum
"""


async def timed(work: Awaitable[object]) -> float:
    """Milliseconds that something took."""
    begun = time.perf_counter()
    await work
    return (time.perf_counter() - begun) * 1_000


async def halt(dsn: str, epoch: int) -> dict[str, float]:
    """One halt by a scheduler that has just started; milliseconds by step."""
    stand = Stand(await open_database(dsn, "scheduler"))
    try:
        async with stand.database.transaction() as tx:
            await tx.fetchval("select 1")
        found = {"stored": await timed(stand.decide(epoch, Mode.PAUSE, halt=epoch))}
        await stand.edge_obeys("North", epoch)
        found["effective"] = await timed(stand.edge_obeys("South", epoch))
        if epoch > 2:
            # The job of the halt before finds that it is over.
            await stand.tick("call_back", 1)
        found["first 500 called back"] = await timed(stand.tick("call_back", 1))
        for name in ("claim", "watch", "report"):
            async with stand.database.looking() as connection:
                found[f"look of {name}"] = await timed(stand.tick_named(name).next_due(connection, stand.now))
        return found
    finally:
        await stand.database.close()


async def plans(dsn: str) -> None:
    """Print how Postgres goes about the statements that read many rows' worth of facts."""
    database = await open_database(dsn, "scheduler")
    statements: dict[str, tuple[str, tuple[object, ...]]] = {
        "read": (counts.SQL["read"], (RELEASE,)),
        "lock_may_fire": (ledger.SQL["lock_may_fire"], (RELEASE, 15, 0, 1_000, 500)),
        "claims_due": (ledger.SQL["claims_due"], (RELEASE, HUB_PARTITIONS)),
        "checks_due": (ledger.SQL["checks_due"], (RELEASE, HUB_PARTITIONS)),
        "lock_between": (ledger.SQL["lock_between"], (RELEASE, 15, 0, 15, 2_000_000, ["confirmed"], 500)),
        "page_end": (ledger.SQL["page_end"], (RELEASE, 15, 0, ledger.PAGE)),
    }
    for name, (statement, values) in statements.items():
        async with database.transaction() as tx:
            say(f"\n{name}")
            for row in await tx.fetch(f"explain (analyze, buffers, costs off) {statement}", *values):
                say(f"  {row[0]}")
    await database.close()


async def bench(arguments: argparse.Namespace, state: StateDir) -> None:
    """Fill, then measure warm and after restarts."""
    server = PostgresServer(state)
    await server.start()
    try:
        await prepare(server)
        dsn = server.dsn(DATABASE)
        took = await timed(fill(dsn, arguments.hubs))
        say(f"{arguments.hubs:,} hubs in the ledger after {took / 1_000:.0f} s")
        await halt(dsn, 2)
        epochs = iter(range(3, 1_000))
        tell("warm", [await halt(dsn, next(epochs)) for _ in range(arguments.rounds)])
        cold = []
        for _ in range(arguments.rounds):
            await server.stop()
            await server.start()
            cold.append(await halt(dsn, next(epochs)))
        tell("after a restart", cold)
        if arguments.plans:
            await plans(dsn)
    finally:
        await server.stop()


async def prepare(server: PostgresServer) -> None:
    """A database with the schema of the scheduler and of those whose views it reads."""
    admin = await asyncpg.connect(server.dsn())
    await admin.execute(f"create database {DATABASE}")
    await admin.close()
    admin = await asyncpg.connect(server.dsn(DATABASE))
    async with admin.transaction():
        await install_schemas(admin, DATABASE)
    await admin.close()


def tell(kind: str, rounds: list[dict[str, float]]) -> None:
    """Print the medians, and the worst of each."""
    for name in rounds[0]:
        values = [found[name] for found in rounds]
        say(f"{kind}: {name}: median {statistics.median(values):.1f} ms, worst {max(values):.1f} ms")


def say(text: str) -> None:
    """Tell whoever watches."""
    print(text, flush=True)  # noqa: T201


def main() -> None:
    """Measure and print, in a state directory that is removed at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hubs", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--plans", action="store_true", help="say how Postgres goes about the statements")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chfw-bench-") as above:
        Path(above).chmod(0o755)
        asyncio.run(bench(arguments, StateDir(Path(above) / "state").create()))


if __name__ == "__main__":
    main()
