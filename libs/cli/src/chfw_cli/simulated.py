"""All six services in this process: the same compositions, on the local broker and the virtual clock."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import chfw_device_sim.service
import chfw_device_sim.settings
import chfw_governance.service
import chfw_governance.settings
import chfw_instruction.service
import chfw_instruction.settings
import chfw_notifier.service
import chfw_notifier.settings
import chfw_scheduler.service
import chfw_scheduler.settings
import chfw_smi.service
import chfw_smi.settings
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.database import open_database
from chfw_common.runtime.service import Service
from chfw_common.simulation.broker import LocalBroker
from chfw_common.simulation.clock import VirtualClock
from chfw_common.simulation.driver import SimulatedService, Simulation
from chfw_common.topology import schema_of

Build = Callable[[Any], Service]

COMPOSITIONS: dict[str, tuple[type[Any], Build]] = {
    "scheduler": (chfw_scheduler.settings.Settings, chfw_scheduler.service.build),
    "device-sim": (chfw_device_sim.settings.Settings, chfw_device_sim.service.build),
    "smi": (chfw_smi.settings.Settings, chfw_smi.service.build),
    "governance": (chfw_governance.settings.Settings, chfw_governance.service.build),
    "instruction": (chfw_instruction.settings.Settings, chfw_instruction.service.build),
    "notifier": (chfw_notifier.settings.Settings, chfw_notifier.service.build),
}
SIDE_BY_SIDE = (("scheduler", "device-sim"), ("smi", "governance"), ("instruction", "notifier"))
"""Who consumes at the same time: those who make work for others first, those who only listen last. The scheduler looks
up what the inventory writes, so they take turns."""
CONNECTIONS = 2


@contextlib.asynccontextmanager
async def open_simulation(
    dsn_of: Callable[[str], str],
    password_file_of: Callable[[str], Path],
    jwks_file: Path,
    begins: Instant,
    *,
    settings: Mapping[str, Any] | None = None,
    postgres: Mapping[str, str] | None = None,
) -> AsyncIterator[Simulation]:
    """The six services on a database whose schemas are installed. `dsn_of` gives the address for a role, and
    `password_file_of` the file with its password.

    `settings` go to every service that has such a field; `postgres` are parameters of every connection.
    """
    broker, clock = LocalBroker(), VirtualClock(begins)
    async with contextlib.AsyncExitStack() as stack:
        simulated = {}
        for name, (kind, build) in COMPOSITIONS.items():
            role = f"chfw_{schema_of(name)}"
            dsn, password_file = dsn_of(role), password_file_of(role)
            given = {field: value for field, value in (settings or {}).items() if field in kind.model_fields}
            # There is no Kafka, so nobody signs in there: the user has no password to be read.
            no_kafka = {"kafka_bootstrap": "none", "kafka_username": "none", "kafka_password_file": Path("none")}
            shared = {"database_dsn": dsn, "database_password_file": password_file, "jwks_file": jwks_file}
            service = build(kind(**shared, **no_kafka, **given))
            database = await open_database(
                dsn, name, password_file=password_file, connections=CONNECTIONS, settings=dict(postgres or {})
            )
            stack.push_async_callback(database.close)
            simulated[name] = SimulatedService(service, database, broker, clock, jwks_file)
        yield Simulation([[simulated[name] for name in group] for group in SIDE_BY_SIDE], broker, clock)
