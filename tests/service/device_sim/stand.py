"""What tests of edges and hubs are written in: a network, three hubs, messages, and what came of them."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from chfw_common.events.alert import AlertItem, Cs06Alert
from chfw_common.events.base import Event
from chfw_common.events.command import CommandItem, CommandKind, HubCancel, HubCommand
from chfw_common.events.decision import RolloutDecision
from chfw_common.events.distributed import FirmwareDistributed
from chfw_common.events.response import HubResponse, ResponseItem, ResponseKind
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.rollout import Mode
from chfw_common.runtime.service import Batch, Outgoing, Received, TickResult, Tx
from chfw_common.topology import partition_of_hub
from chfw_device_sim.domain.capacity import Capacity
from chfw_device_sim.domain.fate import Assumptions, Fate, Span
from chfw_device_sim.domain.image import Radio
from chfw_device_sim.stages import activate, deliver, load, receive_command, receive_distribution
from chfw_device_sim.stages.network import Network
from chfw_device_sim.store import device
from tests.support.times import still

T0 = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
R1 = ReleaseId("r1")
EDGES = ("North", "South")
KIND = ResponseKind

EventT = TypeVar("EventT", bound=Event)
P = ParamSpec("P")


def network(*, in_flight: int = 10_000, per_hour: int = 10**12, **assumed: Any) -> Network:
    hour = {"delivery": {"North": Span(HOUR, HOUR), "South": Span(HOUR, HOUR)}}
    radio = Radio(Fate(1, Assumptions(**(hour | assumed))), SECOND)
    capacity = dict.fromkeys(EDGES, Capacity(per_hour, in_flight))
    return Network(EDGES, timedelta(seconds=5), capacity, radio, lambda: T0)


SURE = network()


def hubs_of_one_partition(count: int) -> list[HubId]:
    """Hubs whose ids are negative and positive, all of partition 0."""
    found = [HubId(n) for n in range(-40 * count, 40 * count) if partition_of_hub(HubId(n)) == 0]
    return found[:: max(1, len(found) // count)][:count]


A, B, C = HUBS = hubs_of_one_partition(3)


async def load_devices(tx: Tx, hubs: Sequence[HubId] = HUBS, region: str = "North") -> None:
    await load.command(tx, [device.NewDevice(hub, 0, region, "106C", "M", "1", "OLD") for hub in hubs], still(T0))


def batch(topic: str, *events: EventT, sent_at: datetime = T0) -> Batch[EventT]:
    return Batch(topic, 0, tuple(Received(n, UUID(int=n), sent_at, event) for n, event in enumerate(events)))


def image(*hubs: HubId, epoch: int = 1, at: datetime = T0) -> FirmwareDistributed:
    return FirmwareDistributed(
        release_id=R1,
        firmware="NEW",
        image_hash="hash",
        epoch=epoch,
        not_before=at,
        permit_until=at + HOUR,
        hubs=hubs,
    )


def command(kind: CommandKind, *items: CommandItem, epoch: int = 1, at: datetime = T0) -> HubCommand | HubCancel:
    make = HubCancel if kind is CommandKind.CANCEL else HubCommand
    return make(
        release_id=R1,
        kind=kind,
        firmware="NEW",
        image_hash="hash",
        epoch=epoch,
        not_before=at,
        permit_until=at + HOUR,
        items=items,
    )


def arm(hub: HubId, counter: int, at: datetime = T0 + DAY) -> HubCommand | HubCancel:
    return command(CommandKind.ACTIVATE, CommandItem(hub=hub, counter=counter, activate_at=at))


def decision(min_epoch: int) -> RolloutDecision:
    return RolloutDecision(
        release_id=R1,
        epoch=9,
        min_epoch=min_epoch,
        mode=Mode.PAUSE,
        mode_since=T0,
        automatic_date=T0 + 100 * DAY,
        reason="a fault",
        confirmed_by=None,
        decided_at=T0,
    )


def answers(outgoing: Sequence[Outgoing]) -> list[ResponseItem]:
    events = [out.event for out in outgoing]
    return [item for event in events if isinstance(event, HubResponse) for item in event.items]


def alerts(outgoing: Sequence[Outgoing]) -> list[AlertItem]:
    events = [out.event for out in outgoing]
    return [item for event in events if isinstance(event, Cs06Alert) for item in event.items]


async def distribute(
    tx: Tx, *events: FirmwareDistributed, on: Network = SURE, now: datetime = T0, sent_at: datetime = T0
) -> list[ResponseItem]:
    outcome = await receive_distribution.handle(
        on, tx, batch("firmware.distributed", *events, sent_at=sent_at), still(now)
    )
    return answers(outcome.outgoing)


async def obey(tx: Tx, *events: HubCommand | HubCancel, on: Network = SURE, now: datetime = T0) -> list[ResponseItem]:
    outcome = await receive_command.handle(on, tx, batch("hub.command", *events), still(now))
    return answers(outcome.outgoing)


async def calls(tick: Callable[P, Awaitable[TickResult]], *arguments: P.args, **keywords: P.kwargs) -> list[TickResult]:
    """Call a tick as long as it asks for more: what each call led to."""
    done = [await tick(*arguments, **keywords)]
    while done[-1].more:
        done.append(await tick(*arguments, **keywords))
    return done


async def held(tx: Tx, hubs: Sequence[HubId] = HUBS, on: Network = SURE) -> None:
    await load_devices(tx, hubs)
    await distribute(tx, image(*hubs), on=on)
    await calls(deliver.tick(on).run, tx, still(T0 + HOUR))


async def run_activations(tx: Tx, now: datetime, on: Network = SURE) -> TickResult:
    return TickResult([event for done in await calls(activate.tick(on).run, tx, still(now)) for event in done.outgoing])


async def devices(tx: Tx) -> dict[HubId, dict[str, object]]:
    return {row["hub"]: row for row in await device.page(tx, None, 1_000)}
