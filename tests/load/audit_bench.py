"""What the audit log and the role for Parties cost: the same commands with and without, in turn.

usage: python -m tests.load.audit_bench [--rounds 5] [--commands 400] [--at-once 8] [--durable]

A Postgres of its own, one process, no broker. `decisions`: commands that write one row, as governance's do. `requests`:
requests of one entry by Suppliers, through the route. `large`: one request of 50,000 entries, through the route, until
it is answered. Each is run as the service itself without audit records, and as it is shipped, in turn. What is told is
the processor time of this process and of Postgres for a command, medians: on a shared machine the time on the clock
measures its neighbours.
`--durable`: commits wait for the disk, as in production.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any
from unittest import mock

import httpx2
import psutil

from chfw_cli.local.install import install_database
from chfw_cli.local.postgres import PostgresServer
from chfw_cli.local.postgres_config import DEMO, UNSAFE_FAST
from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.roles import Role
from chfw_common.runtime.database import open_database
from chfw_common.runtime.http.callers import Caller
from chfw_common.runtime.http.commands import Commands
from chfw_common.runtime.outbox import Wake
from chfw_common.runtime.service import Answered, Change, Now, Tx
from chfw_instruction.service import build
from chfw_instruction.settings import Settings
from tests.support.release import NOW, RELEASE, euis
from tests.support.servers import temporary_state
from tests.support.serving import Stand, StoryClock, bearer, serving
from tests.support.settings import nowhere

DATABASE = "audit_bench"
URL = f"/v1/releases/{RELEASE}/instructions"
MANY = 1_000_000_000
UNBOUNDED: dict[str, Any] = dict.fromkeys(
    ("open_requests", "open_entries", "entries_burst", "entries_per_minute", "entries_per_day"), MANY
)
"""Quotas that are never spent: what is measured is a request that is taken."""
DCC = Caller(PartyId("dcc"), UserId("u"), Role.DCC, token="jti")
_KEY = "insert into answered_request (party, key, digest, answer) values ('p', $1, '\\x00', '{}')"


async def decide(tx: Tx, key: str, _now: Now) -> Answered[None]:
    """A command that writes a row."""
    await tx.execute(_KEY, key)
    return Answered(None, key, Change("decide", "R", {"epoch": 1}, {"epoch": 2, "reason": "so decided"}))


@contextlib.contextmanager
def without() -> Iterator[None]:
    """Commands as they were before: one role, no record."""

    async def nothing(*_: Any) -> None:
        return

    with (
        mock.patch.object(Commands, "_act_for", nothing),
        mock.patch.object(Commands, "_act_as_the_service", nothing),
        mock.patch("chfw_common.runtime.http.commands.append", nothing),
    ):
        yield


def used(server: PostgresServer) -> float:
    """Seconds of processor time that this process and Postgres have used."""
    assert server.pid is not None
    parent = psutil.Process(server.pid)
    times = [one.cpu_times() for one in (parent, *parent.children(recursive=True))]
    return time.process_time() + float(sum(one.user + one.system for one in times))


async def at_once(works: Sequence[Callable[[], Awaitable[Any]]], width: int) -> None:
    """Do all of the works, so many at a time."""
    waiting = list(works)

    async def worker() -> None:
        while waiting:
            await waiting.pop()()

    await asyncio.gather(*(worker() for _ in range(width)))


class Bench:
    """Two services, and what is asked of them."""

    def __init__(self, server: PostgresServer, decisions: Commands, stand: Stand, options: argparse.Namespace) -> None:
        self._server = server
        self._decisions = decisions
        self._stand = stand
        self._commands: int = options.commands
        self._width: int = options.at_once
        self._round = 0

    async def run(self) -> dict[str, float]:
        """One round: milliseconds of processor time for a command of each kind."""
        self._round += 1
        keys = [f"{self._round}-{n}" for n in range(self._commands)]
        return {
            "decision": await self._time([partial(self._decisions.run, decide, key, DCC) for key in keys]),
            "request": await self._time([partial(self._ask, key, 1) for key in keys]),
            "request of 50,000": await self._time([partial(self._ask, f"{self._round}-large", 50_000)]),
        }

    async def _time(self, works: Sequence[Callable[[], Awaitable[Any]]]) -> float:
        before = used(self._server)
        await at_once(works, self._width)
        return (used(self._server) - before) / len(works) * 1e3

    async def _ask(self, key: str, entries: int) -> None:
        body = json.dumps({"kind": "instruct", "hubs": euis(range(1, entries + 1))})
        party = f"elec-{hash(key) % 12}"
        headers = {**bearer(party), "Idempotency-Key": f'"{key}"', "Content-Type": "application/json"}
        answer: httpx2.Response = await self._stand.client.post(URL, content=body, headers=headers)
        assert answer.status_code == 202, answer.text


@contextlib.asynccontextmanager
async def standing(server: PostgresServer, options: argparse.Namespace) -> AsyncIterator[Bench]:
    """The services on a database of their own, each as its own role."""
    await install_database(server, DATABASE)
    governance = await open_database(server.dsn(DATABASE, "chfw_governance"), "governance")
    async with serving(build(Settings(**nowhere("-", **UNBOUNDED))), server.dsn(DATABASE, "chfw_instruction")) as stand:
        await stand.announce()
        yield Bench(server, Commands(governance, StoryClock(NOW), Wake(), asked_as='"key"'), stand, options)
    await governance.close()


async def main(options: argparse.Namespace) -> None:
    """Run it."""
    profile = DEMO if options.durable else UNSAFE_FAST
    with contextlib.contextmanager(temporary_state)() as state:
        await measure(PostgresServer(state, profile=profile), options)


async def measure(postgres: PostgresServer, options: argparse.Namespace) -> None:
    """Run the rounds and say what they took."""
    async with postgres as server, standing(server, options) as bench:
        await bench.run()
        found: dict[str, list[dict[str, float]]] = {"without": [], "as shipped": []}
        for _ in range(options.rounds):
            with without():
                found["without"].append(await bench.run())
            found["as shipped"].append(await bench.run())
    for name in found["without"][0]:
        before, after = (statistics.median(one[name] for one in rounds) for rounds in found.values())
        print(f"{name}: without {before:.2f} ms, as shipped {after:.2f} ms, {after - before:+.2f} ms")  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--commands", type=int, default=400)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--durable", action="store_true")
    asyncio.run(main(parser.parse_args()))
