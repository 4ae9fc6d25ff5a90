"""Everything that a campaign works with: real servers, six processes, and the ways to look at them from outside."""

import contextlib
import dataclasses
import functools
import os
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from chfw_cli.demo.backlog import Backlog
from chfw_cli.demo.client import Client, over_network
from chfw_cli.demo.estate import REGIONS, Estate, EstateHub
from chfw_cli.local.postgres_config import DEMO, Profile
from chfw_cli.local.services import DATABASE, SERVICES, Surroundings, service_spec, service_url
from chfw_cli.local.stack import Stack
from chfw_cli.local.state import StateDir
from chfw_cli.tokens import Issuer
from chfw_common.runtime.clock import machine_now
from tests.load.halt_bench import estate, wal
from tests.load.halt_bench.draw import Plan
from tests.load.halt_bench.heard import Listener
from tests.load.halt_bench.sabotage import Control, Faults, argv
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[3]
NETWORK = "device-sim"
LOGICAL = Profile("halt_bench", {**DEMO.settings, "wal_level": "logical"})
PERMIT, FORWARD_WITHIN, LEAD = 4.0, 4.0, 2.0
"""Seconds: how long a permit holds, how long forwarding may take, the notice of a CS06."""
MAX_SKEW = 5.0
"""Seconds that clocks may differ. As shipped, not short: a clock that is 10 s wrong is to be as wrong as in earnest."""
DELIVERY_LIMIT = 120.0
ENVIRONMENT = {
    "CHFW_PERMIT_TTL": f"PT{PERMIT}S",
    "CHFW_FORWARD_WITHIN": f"PT{FORWARD_WITHIN}S",
    "CHFW_TRANSACTION_LIMIT": f"PT{FORWARD_WITHIN}S",
    "CHFW_ASAP_LEAD": f"PT{LEAD}S",
    "CHFW_REFUSED_RETRY": f"PT{LEAD}S",
    "CHFW_ARMING_WINDOW": f"PT{LEAD}S",
    "CHFW_DELIVERY_GRID": "PT0.01S",
    "CHFW_DELIVERY_TIMES": orjson.dumps({name: {"min": "PT0S", "max": "PT0.5S"} for name, _ in REGIONS}).decode(),
    "CHFW_RATE_OUT_OF_REACH": orjson.dumps({name: 0 for name, _ in REGIONS}).decode(),
    **{
        f"CHFW_RATE_{name}": "0"
        for name in (
            "NEVER_ANSWERS", "FILE_TRANSFER_FAILURE", "HARDWARE_VERSION_MISMATCH", "FIRMWARE_IMAGE_DISCARDED",
            "NO_IMAGE_HELD", "HASH_MISMATCH", "ACTIVATION_FAILURE", "LOST_ALERT", "LATE_ALERT", "REPEATED_ALERT",
            "SLOW_RESTART",
        )
    },
}  # fmt: skip
"""Short times, and a network in which nothing fails by chance: what fails is what a run makes fail."""
_DELIVERED = "select count(*) from scheduler.ledger where release_id = $1 and state = 'delivered'"


def forwarded_by(max_skew: float = MAX_SKEW) -> float:
    """Seconds after which a halt is effective without every acknowledgement."""
    return PERMIT + 2 * max_skew + FORWARD_WITHIN


@dataclass(slots=True)
class Stand:
    """A running campaign."""

    stack: Stack
    client: Client
    admin: Any
    backlog: Backlog
    listener: Listener
    faults: Faults
    hubs: dict[int, list[EstateHub]] = field(default_factory=dict)

    async def quiet(self, limit: float) -> None:
        """Wait until nothing is under way or due. Raises TimeoutError at the limit."""

        async def nothing() -> bool:
            return await self.backlog.none(machine_now())

        await eventually(nothing, limit)

    async def prepare(self, plans: Sequence[Plan], hubs: int, seed: int) -> None:
        """Load the hubs of all runs and decide that all releases run. Raises TimeoutError when it takes too long."""
        draw = random.Random(f"hubs {seed}")
        self.hubs = {plan.number: estate.hubs_of(plan, hubs, draw) for plan in plans}
        now, limit = machine_now(), 60.0 + 0.01 * hubs * len(plans)
        await estate.load(self.client, Estate(seed, tuple(hub for some in self.hubs.values() for hub in some)), now)
        for plan in plans:
            await estate.announce(self.client, plan, now)
        await self.quiet(limit)
        for mode in ("pilot", "run"):
            for plan in plans:
                await estate.decide(self.client, plan, mode)
        await self.quiet(limit)

    async def deliver(self, plan: Plan) -> None:
        """Give three quarters of the hubs of a run the image and a time far away. Raises TimeoutError."""
        hubs = self.hubs[plan.number]
        first = hubs[len(hubs) // 4 :]
        await estate.instruct(self.client, plan, first, machine_now() + estate.STATED)

        async def delivered() -> bool:
            return bool(await self.admin.fetchval(_DELIVERED, plan.release_id) == len(first))

        await eventually(delivered, DELIVERY_LIMIT)
        await self.quiet(DELIVERY_LIMIT)

    async def let_go(self, plan: Plan) -> None:
        """Make all hubs of a run due: most for a CS06, the others for the image first."""
        await estate.instruct(self.client, plan, self.hubs[plan.number], None)


@contextlib.asynccontextmanager
async def standing(state: StateDir, control: Control | None, max_skew: float = MAX_SKEW) -> AsyncIterator[Stand]:
    """Start everything, device-sim as the bench runs it. At the end nothing is left running."""
    others = tuple(name for name in SERVICES if name != NETWORK)
    async with contextlib.AsyncExitStack() as closing:
        environment = {**ENVIRONMENT, "CHFW_MAX_SKEW": f"PT{max_skew}S"}
        stack = Stack(state, services=others, profile=LOGICAL, extra_env=environment)
        await closing.enter_async_context(stack)
        faults = Faults(state.root / "faults.json")
        faults.set(None)
        await _start_network(stack, argv(state.root / "faults.json", control), environment)
        admin = await asyncpg.connect(stack.postgres.dsn(DATABASE))
        closing.push_async_callback(admin.close)
        await wal.watch(admin)
        urls = {**stack.urls, NETWORK: service_url(NETWORK, state)}
        client = Client(over_network(urls, stack.operator_urls), Issuer.open(state.keys))
        closing.push_async_callback(client.close)
        backlog = Backlog(stack.postgres.dsn(DATABASE), stack.kafka_access)
        closing.push_async_callback(backlog.close)
        listener = Listener(stack.kafka_access)
        await listener.start()
        closing.push_async_callback(listener.close)
        yield Stand(stack, client, admin, backlog, listener, faults)


async def _start_network(stack: Stack, command: tuple[str, ...], environment: Mapping[str, str]) -> None:
    given = Surroundings(
        state=stack.state,
        address=functools.partial(stack.postgres.address, DATABASE),
        database_password_file=stack.postgres.password_file,
        kafka=stack.kafka.access,
        extra_env={**environment, "PYTHONPATH": os.pathsep.join(map(str, [ROOT, *sorted(ROOT.glob("*/*/src"))]))},
    )
    await stack.supervisor.start(dataclasses.replace(service_spec(NETWORK, given), argv=command))
