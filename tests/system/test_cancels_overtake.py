"""A cancel waits behind no bulk traffic: 50,000 distributions in front of it, and it is obeyed first."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from chfw_common.events.base import Event
from chfw_common.events.command import CommandItem, CommandKind, HubCancel, HubCommand
from chfw_common.events.distributed import FirmwareDistributed
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.runtime import envelope
from chfw_common.runtime.clock import machine_now, stopwatch
from chfw_common.runtime.database import Database, open_database
from chfw_common.runtime.kafka.producer import KafkaProducer
from chfw_common.runtime.kafka.rights import install_rights
from chfw_common.runtime.kafka.topics import create_topics
from chfw_common.runtime.service import Outgoing, hub_events
from chfw_common.topology import FIRMWARE_DISTRIBUTED, HUB_CANCEL, HUB_COMMAND, partition_of_hub
from chfw_device_sim.stages import load
from chfw_device_sim.store import device
from tests.support.processes import process_of
from tests.support.servers import RunningKafka, RunningPostgres
from tests.support.times import still
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.servers", "tests.support.databases"]

RELEASE = ReleaseId("r1")
HUBS = [HubId(n) for n in range(50_000)]
ARMED = HubId(50_001)


def outgoing(*, counter: int) -> tuple[list[Outgoing], list[Outgoing], list[Outgoing]]:
    """The distributions, the CS06 of one hub, and its cancel."""
    now = machine_now()
    said = {
        "release_id": RELEASE, "firmware": "NEW", "image_hash": "hash", "epoch": 1, "not_before": now,
        "permit_until": now + timedelta(minutes=10),
    }  # fmt: skip

    def hand_over(hubs: tuple[HubId, ...]) -> Event:
        return FirmwareDistributed.model_validate({**said, "hubs": hubs})

    part = partition_of_hub(ARMED)
    arm = CommandItem(hub=ARMED, counter=counter, activate_at=now + timedelta(days=1))
    cancel = CommandItem(hub=ARMED, counter=counter + 1, cancels=counter)
    return (
        hub_events(FIRMWARE_DISTRIBUTED, [(partition_of_hub(hub), hub, hub) for hub in HUBS], hand_over),
        hub_events(
            HUB_COMMAND,
            [(part, ARMED, arm)],
            lambda items: HubCommand.model_validate({**said, "kind": CommandKind.ACTIVATE, "items": items}),
        ),
        hub_events(
            HUB_CANCEL, [(part, ARMED, cancel)], lambda items: HubCancel.model_validate({**said, "items": items})
        ),
    )


async def send(producer: KafkaProducer, events: Sequence[Outgoing]) -> None:
    """Hand the events over, and return when all are acknowledged."""
    pending = []
    for out in events:
        now = machine_now()
        headers = envelope.headers(uuid4(), out.event.TYPE, "scheduler", now, now)
        value = out.event.model_dump_json().encode()
        pending.append(await producer.send(out.topic.name, out.partition, out.key, value, headers))
    for future in pending:
        await future


@pytest.fixture
async def database(chfw_dsn: str) -> AsyncIterator[Database]:
    """The devices."""
    made = await open_database(chfw_dsn, "device-sim")
    async with made.transaction() as tx:
        devices = [
            device.NewDevice(hub, partition_of_hub(hub), "North", "106C", "M", "1", "OLD") for hub in [*HUBS, ARMED]
        ]
        await load.command(tx, devices, still(machine_now()))
    yield made
    await made.close()


async def test_a_cancel_is_obeyed_before_the_distributions_in_front_of_it(
    chfw_dsn: str, database: Database, postgres_server: RunningPostgres, kafka_server: RunningKafka, tmp_path: Path
) -> None:
    await create_topics(kafka_server.access)
    await install_rights(kafka_server.access)
    producer = KafkaProducer(kafka_server.access, "test")

    async def receipt() -> str | None:
        async with database.looking() as tx:
            return str(await tx.fetchval("select receipt_kind from device where hub = $1", ARMED))

    async def armed() -> bool:
        return await receipt() == "activation_accepted"

    async def called_back() -> bool:
        return await receipt() == "cancel_accepted"

    rates = {"CHFW_RATE_NEVER_ANSWERS": "0"}
    where = {"dsn": chfw_dsn, "postgres": postgres_server, "kafka": kafka_server, "keys": tmp_path, "env": rates}
    async with process_of("device-sim", **where) as running:  # type: ignore[arg-type]
        await running.ready()
        distributions, cs06, cancel = outgoing(counter=7)
        await send(producer, cs06)
        await eventually(armed)
        await send(producer, distributions)
        begun = stopwatch()
        await send(producer, cancel)
        await eventually(called_back)
        took = stopwatch() - begun
        async with database.looking() as tx:
            handed = await tx.fetchval("select count(*) from device where coming_release is not null")
    await producer.discard()
    print(f"obeyed {took:.3f} s after it was sent, with {len(HUBS) - handed:,} distributions still in front")  # noqa: T201
    assert handed < len(HUBS), "everything was through before the cancel: nothing is shown"
