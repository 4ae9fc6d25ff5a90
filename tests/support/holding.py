"""A process that stands in the middle of a transaction until it is told to go on; to be frozen meanwhile.

It writes `holds` once it has done its work and not committed, waits for a line on standard input, tries to commit, and
writes how that ended.
"""

import argparse
import asyncio
import sys

from chfw_common.runtime.database import open_database
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.service import Tx
from chfw_common.runtime.transient import transient_as_error
from chfw_scheduler.store import releases
from tests.service.device_sim.stand import T0, A, arm, load_devices, obey
from tests.support.release import RELEASE

COMMITTED, LOST = "committed", "lost"


def say(what: str) -> None:
    """One line for the test that watches."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


async def claim(tx: Tx) -> None:
    """What a claim holds until it commits."""
    await releases.share_release(tx, RELEASE)
    await tx.execute("insert into tick_call (tick, calls) values ('claim', 1)")


async def forward(tx: Tx) -> None:
    """An edge has looked at its clock and forwards a CS06."""
    await load_devices(tx, [A])
    await obey(tx, arm(A, 1), now=T0)


WORK = {"scheduler": claim, "device-sim": forward}


async def hold(dsn: str, service: str, settings: dict[str, str]) -> str:
    """Work, wait, commit. Gives how it ended; raises what is no lost connection."""
    database = await open_database(dsn, service, connections=1, settings=settings)
    try:
        async with transient_as_error(), database.transaction() as tx:
            await WORK[service](tx)
            say("holds")
            await asyncio.to_thread(sys.stdin.readline)
    except TransientError:
        return LOST
    return COMMITTED


def main() -> None:
    """Read the arguments and hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("dsn")
    parser.add_argument("service", choices=sorted(WORK))
    parser.add_argument("settings", nargs="*", help="name=value")
    given = parser.parse_args()
    settings = dict(entry.split("=", 1) for entry in given.settings)
    say(asyncio.run(hold(given.dsn, given.service, settings)))


if __name__ == "__main__":
    main()
