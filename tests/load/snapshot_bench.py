"""How long the relay takes to take 500 events out while somebody holds a snapshot: a dump, a long read.

usage: python -m tests.load.snapshot_bench [--minutes 10] [--rate 1000]

A Postgres of its own with durable commits. Events are written and relayed at the rate all the time. A relay that looks
from the beginning of the lane, as it did before it had a floor, takes every tenth batch.
"""

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg
import uvloop

from chfw_cli.local.postgres import PostgresServer
from chfw_cli.local.state import StateDir
from chfw_common.events.response import HubResponse
from chfw_common.kernel.ids import ReleaseId
from chfw_common.runtime.clock import machine_now, stopwatch
from chfw_common.runtime.database import Database, open_database
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import write_outbox
from chfw_common.runtime.relay import RELAY_ROWS, Relay
from chfw_common.runtime.service import Outgoing, Tx
from chfw_common.simulation.broker import LocalBroker, LocalProducer
from chfw_common.topology import BULK_LANE, HUB_RESPONSE, LANES

NAME = "bench"


class Timed(Relay):
    """Notes how long each batch took to be taken out."""

    def __init__(self, database: Database, *, from_beginning: bool) -> None:
        producer = LocalProducer(LocalBroker([HUB_RESPONSE]))
        super().__init__(NAME, BULK_LANE, database, producer, Metrics(NAME, ()))
        self._from_beginning = from_beginning
        self.took: list[float] = []

    async def _take(self, tx: Tx, look: Any) -> list[Mapping[str, Any]]:
        if self._from_beginning:
            self._floor.drop()
        begun = stopwatch()
        rows = await super()._take(tx, look)
        self.took.append(1_000 * (stopwatch() - begun))
        return rows


def told(what: str, took: list[float]) -> None:
    """One line of figures."""
    ordered = sorted(took)
    worst = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    print(f"{what}: median {statistics.median(took):.1f} ms, p99 {worst:.1f} ms, {len(took)} batches")  # noqa: T201


async def write(database: Database, number: int) -> None:
    """One batch of events."""
    events = [
        Outgoing(HUB_RESPONSE, b"%d" % n, n % 32, HubResponse(release_id=ReleaseId("bench"), items=()))
        for n in range(RELAY_ROWS)
    ]
    async with database.transaction() as tx:
        await write_outbox(tx, events, f"bench {number}", machine_now())


async def measure(database: Database, seconds: float, rate: int) -> None:
    """Write and relay for so long, and tell the first and the last tenth."""
    with_floor, without = Timed(database, from_beginning=False), Timed(database, from_beginning=True)
    begun, number = stopwatch(), 0
    while (passed := stopwatch() - begun) < seconds:
        await write(database, number)
        await (without if number % 10 == 0 else with_floor).relay_once()
        number += 1
        await asyncio.sleep(max(0.0, number * RELAY_ROWS / rate - passed))
    for what, relay in (("from its floor", with_floor), ("from the beginning", without)):
        tenth = max(1, len(relay.took) // 10)
        told(f"{what}, first tenth", relay.took[:tenth])
        told(f"{what}, last tenth", relay.took[-tenth:])


async def bench(arguments: argparse.Namespace, state: StateDir) -> None:
    """Start Postgres, hold a snapshot, measure."""
    async with PostgresServer(state) as postgres:
        owner = await asyncpg.connect(postgres.dsn())
        runtime = (files("chfw_common") / "runtime" / "sql" / "runtime.sql").read_text()
        await owner.execute(f"create schema {NAME}; set search_path to {NAME}; {runtime}")
        database = await open_database(postgres.dsn(), NAME, connections=len(LANES))
        snapshot = owner.transaction(isolation="repeatable_read", readonly=True)
        await snapshot.start()
        await owner.fetchval("select count(*) from outbox")
        await measure(database, arguments.minutes * 60, arguments.rate)
        await snapshot.rollback()
        await database.close()
        await owner.close()


def main() -> None:
    """Parse the arguments and run in a state directory that is removed at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=int, default=1_000, help="events written and relayed a second")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chfw-bench-") as above:
        Path(above).chmod(0o755)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(bench(arguments, StateDir(Path(above) / "state").create()))


if __name__ == "__main__":
    main()
