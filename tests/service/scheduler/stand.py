"""The scheduler on a real Postgres, its handlers and ticks called by hand, with the inventory's own view."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar

from chfw_common.events.base import Event
from chfw_common.events.command import CommandItem, CommandKind, HubCancel, HubCommand
from chfw_common.events.decision import RolloutDecision
from chfw_common.events.distributed import FirmwareDistributed
from chfw_common.events.fenced import RolloutFenced
from chfw_common.events.instruction import InstructionReceived
from chfw_common.events.progressed import HubProgress, HubProgressed
from chfw_common.events.response import HubResponse, ResponseItem, ResponseKind
from chfw_common.events.smi import CauseKind, Responsible, SmiCause, SmiHub, SmiUpdated
from chfw_common.kernel.coarse import day_after
from chfw_common.kernel.hubs import DeviceStatus, DeviceType
from chfw_common.kernel.ids import HubId, PartyId, ReleaseId, UserId
from chfw_common.kernel.instants import Instant, parse_instant
from chfw_common.kernel.roles import Role
from chfw_common.kernel.rollout import AnswerKind, Group, Mode
from chfw_common.kernel.waves import Wave
from chfw_common.runtime.database import Database
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import write_outbox
from chfw_common.runtime.service import Service, Tick
from chfw_common.runtime.ticks import TickRunner
from chfw_common.topology import (
    BY_NAME,
    HUB_RESPONSE,
    INSTRUCTION_RECEIVED,
    RELEASE_NOTIFIED,
    ROLLOUT_DECISION,
    ROLLOUT_FENCED,
    SMI_UPDATED,
    Topic,
    partition_of_hub,
)
from chfw_scheduler.service import build
from chfw_scheduler.settings import Settings
from chfw_scheduler.store import counts
from tests.support.release import NOW, RELEASE, SINCE, Answers, D, decision, notice, put_hubs
from tests.support.serving import batch_of
from tests.support.settings import nowhere

T = parse_instant("2026-12-01T02:00:00Z")
HOUR = timedelta(hours=1)
EDGES = ("North", "South")
EventT = TypeVar("EventT", bound=Event)


def hubs_of(part: int, n: int) -> list[HubId]:
    """The first hub ids of a partition."""
    numbers = (HubId(number) for number in count(1))
    found = (hub for hub in numbers if partition_of_hub(hub) == part)
    return [next(found) for _ in range(n)]


def instruction(
    party: str,
    hubs: Iterable[HubId],
    *,
    seq: int = 1,
    at: Instant | None = T,
    kind: AnswerKind = AnswerKind.INSTRUCT,
    group: Group = Group.SAFE_LAUNCH,
) -> InstructionReceived:
    """What a Party answered."""
    return InstructionReceived(
        request_id=f"{party}-{seq}",
        release_id=RELEASE,
        party=PartyId(party),
        user_id=UserId(f"{party}-u"),
        party_seq=seq,
        kind=kind,
        group=group,
        received_at=NOW,
        activate_at=at,
        hubs=tuple(hubs),
    )


def record(
    hub: HubId,
    version: int,
    *,
    firmware: str = "OLD",
    parties: Sequence[str] = ("elec",),
    since: Instant = SINCE,
    status: DeviceStatus = DeviceStatus.COMMISSIONED,
    cause: SmiCause | None = None,
    region: str = "North",
    **make: str,
) -> SmiHub:
    """A hub as the inventory tells it; `make` changes what it is."""
    kind = {"manufacturer": "Acme", "model": "CH9", "hardware": "H1", "gbcs": "4.1", **make}
    roles = (Role.IMPORT_SUPPLIER, Role.GAS_SUPPLIER)
    return SmiHub(
        hub=hub,
        smi_version=version,
        device_type=DeviceType.CHF,
        status=status,
        firmware=firmware,
        **kind,
        region=region,
        responsible=tuple(
            Responsible(party=PartyId(party), user_id=UserId(f"{party}-u"), role=role, since=since)
            for party, role in zip(parties, roles, strict=False)
        ),
        cause=cause or SmiCause(kind=CauseKind.LOAD, at=NOW),
    )


def alert(counter: int, outcome: int, at: Instant) -> SmiCause:
    """The inventory heard a CS06 alert."""
    return SmiCause(kind=CauseKind.ALERT, at=at, release_id=RELEASE, counter=counter, outcome=outcome)


@dataclass
class Stand:
    """The scheduler in one process, without a broker: what it publishes is taken from its outbox."""

    database: Database
    service: Service = field(init=False)
    now: Instant = NOW

    def __post_init__(self) -> None:
        self.restart()

    def clock(self) -> Instant:
        """The time, whenever it is asked."""
        return self.now

    def restart(self) -> None:
        """A new process: nothing is kept in memory."""
        settings = Settings(**nowhere(edges=EDGES))
        self.service = build(settings)
        self.ticks = TickRunner(self.service, self.database, Metrics("scheduler", self.service.consumes))

    async def consume(self, topic: Topic, *events: Event, partition: int = 0) -> None:
        """Hand facts to the handler as one batch of a partition, and write what it says."""
        batch = batch_of(topic, events, self.now, partition)
        async with self.database.transaction() as tx:
            outcome = await self.service.consumes[topic].handler(tx, batch, self.clock)
            await write_outbox(tx, outcome.outgoing, "test", self.now)

    async def hubs_say(self, hubs: Iterable[HubId], kind: ResponseKind, **fields: Any) -> None:
        """The same answer of hubs of one partition; a field may be a function of the hub."""
        await self.hubs_of_release_say(RELEASE, hubs, kind, **fields)

    async def hubs_of_release_say(
        self, release_id: ReleaseId, hubs: Iterable[HubId], kind: ResponseKind, **fields: Any
    ) -> None:
        """The same about any release."""
        items = [
            ResponseItem(
                hub=hub,
                kind=kind,
                at=self.now,
                **{name: value(hub) if callable(value) else value for name, value in fields.items()},
            )
            for hub in hubs
        ]
        part = partition_of_hub(items[0].hub)
        await self.consume(HUB_RESPONSE, HubResponse(release_id=release_id, items=tuple(items)), partition=part)

    async def smi_says(self, *items: SmiHub) -> None:
        """Records of hubs of one partition."""
        await self.consume(SMI_UPDATED, SmiUpdated(items=items), partition=partition_of_hub(items[0].hub))

    async def instruct(self, *events: InstructionReceived) -> None:
        """Instructions for hubs of one partition."""
        await self.consume(INSTRUCTION_RECEIVED, *events, partition=partition_of_hub(events[0].hubs[0]))

    async def announce(self, **changes: Any) -> None:
        """The notice."""
        cpl = {"firmware": "NEW", "predecessors": ("OLD",), **changes.pop("cpl", {})}
        await self.consume(RELEASE_NOTIFIED, notice(cpl=cpl, **changes))

    async def decide(
        self, epoch: int, mode: Mode, *, halt: int = 0, date: Instant = D, waves: tuple[Wave, ...] = ()
    ) -> None:
        """A decision; `halt` is its min_epoch."""
        said = decision(epoch, mode, date, min_epoch=halt, at=self.now, waves=waves)
        await self.decide_as(said)

    async def decide_as(self, said: RolloutDecision) -> None:
        """A decision of any release."""
        await self.consume(ROLLOUT_DECISION, said)

    async def edge_obeys(self, edge: str, epoch: int) -> None:
        """An edge acknowledges."""
        event = RolloutFenced(release_id=RELEASE, edge=edge, min_epoch=epoch, fenced_at=self.now)
        await self.consume(ROLLOUT_FENCED, event)

    def tick_named(self, name: str) -> Tick:
        """One tick of the service."""
        return next(tick for tick in self.service.ticks if tick.name == name)

    async def tick(self, name: str, times: int | None = None) -> int:
        """Call a tick until it has nothing to do, or so often; says how often it ran."""
        ran = 0
        while times is None or ran < times:
            if not (await self.ticks.call(self.tick_named(name), self.clock)).ran:
                break
            ran += 1
            assert ran < 1000, "the tick runs hot"
        return ran

    async def day_ends(self) -> None:
        """Midnight comes, and what was withheld from the Parties is told."""
        self.now = day_after(self.now)
        await self.tick("watch")

    async def settle(self) -> None:
        """Call every tick until none has anything to do."""
        while sum([await self.tick(tick.name) for tick in self.service.ticks]):
            pass

    async def published(self, kind: type[EventT]) -> list[EventT]:
        """Take the events of a kind from the outbox, in order."""
        async with self.database.transaction() as tx:
            rows = await tx.fetch("delete from outbox where topic = $1 returning id, topic, payload", kind.TOPIC)
        events = [BY_NAME[row["topic"]].event.model_validate_json(row["payload"]) for row in sorted(rows)]
        return [event for event in events if isinstance(event, kind)]

    async def commands(self, kind: CommandKind) -> dict[HubId, CommandItem]:
        """Take the commands from the outbox; those of a kind, by hub. Other kinds are gone."""
        sent: list[HubCommand | HubCancel] = [*await self.published(HubCommand), *await self.published(HubCancel)]
        found = [event for event in sent if event.kind is kind]
        return {item.hub: item for event in found for item in event.items}

    async def distributed(self) -> list[HubId]:
        """Take the hand-overs."""
        return [hub for event in await self.published(FirmwareDistributed) for hub in event.hubs]

    async def told(self) -> dict[HubId, HubProgress]:
        """Take the progress told, the last of each hub."""
        events = await self.published(HubProgressed)
        return {hub: item for event in events for item in event.items for hub in item.hubs}

    async def fetch(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        async with self.database.transaction() as tx:
            return [tuple(row) for row in await tx.fetch(query, *arguments)]

    async def states(self) -> dict[str, int]:
        """Hubs by state."""
        return dict(await self.fetch("select state, count(*) from ledger group by state"))

    async def miscounts(self) -> list[counts.Miscount]:
        """Counts that are not the number of rows."""
        async with self.database.looking() as connection:
            return await counts.miscounts(connection)

    async def load_hubs(self, hubs: Iterable[HubId], *, parties: tuple[str, str | None] = ("elec", "gas")) -> None:
        """Put commissioned hubs of the model into the inventory."""
        imports, gas = parties
        second = None if gas is None else Answers(gas, f"{gas}-u")
        async with self.database.transaction() as tx:
            await put_hubs(tx, hubs, Answers(imports, f"{imports}-u"), second, firmware="OLD", region="North")

    async def enrolled(self, hubs: Iterable[HubId], *, parties: tuple[str, str | None] = ("elec", None)) -> None:
        """A release that knows its hubs, and that anybody may be told of from now on."""
        await self.load_hubs(hubs, parties=parties)
        await self.announce()
        await self.tick("jobs")
        await self.told()

    async def armed(self, hubs: Sequence[HubId], *, decided: bool = True) -> dict[HubId, int]:
        """Hubs of one partition in force for T: enrolled, instructed, delivered, armed. Gives their counters."""
        await self.enrolled(hubs)
        if decided:
            await self.decide(1, Mode.RUN)
        await self.instruct(instruction("elec", hubs))
        await self.tick("claim")
        await self.hubs_say(await self.distributed(), ResponseKind.DELIVERED, epoch=1)
        self.now = T - 12 * HOUR
        await self.tick("claim")
        sent = await self.commands(CommandKind.ACTIVATE)
        counters = {hub: item.counter for hub, item in sent.items()}
        await self.hubs_say(hubs, ResponseKind.ACTIVATION_ACCEPTED, counter=counters.__getitem__)
        await self.told()
        return counters

    async def resumed(self, old: Sequence[HubId], new: Sequence[HubId]) -> None:
        """A pause met hubs that were armed, and is over; new hubs got the image after it. No cancel is sent yet."""
        await self.armed(old)
        await self.load_hubs(new, parties=("elec", None))
        await self.instruct(instruction("elec", new))
        await self.decide(2, Mode.PAUSE, halt=2)
        await self.decide(3, Mode.RUN, halt=2)
        await self.tick("claim")
        await self.hubs_say(new, ResponseKind.DELIVERED, epoch=3)
