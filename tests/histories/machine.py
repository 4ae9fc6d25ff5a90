"""Random histories: what people, systems and the log do, in any order, with the invariants after each step."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from chfw_common.kernel.hubs import DeviceStatus
from chfw_common.kernel.ids import HubId, PartyId
from chfw_common.kernel.roles import Role
from chfw_common.kernel.rollout import Mode, Rule
from chfw_common.topology import ROLLOUT_DECISION, ROLLOUT_FENCED, TOPICS, Topic
from chfw_instruction.stages.accept import Receipt
from tests.histories.cast import BEGIN, BOXES, DAY, HOUR, HUBS, LATE_REGION, PARTIES, Asked, D
from tests.histories.watch import Watch
from tests.histories.world import NAMES, World

T = TypeVar("T")
PLACES = st.integers(0, 30)
SPANS = st.sampled_from([timedelta(minutes=1), HOUR, 6 * HOUR, DAY, 3 * DAY, 14 * DAY])
HEARD = [topic for topic in TOPICS if set(topic.consumers) & {*NAMES}]
"""Topics that somebody in a history hears."""
ROLES = st.sampled_from([Role.IMPORT_SUPPLIER, Role.GAS_SUPPLIER])
CHANGES: list[dict[str, Any]] = [
    {"status": DeviceStatus.RECOVERY},
    {"status": DeviceStatus.SUSPENDED},
    {"status": DeviceStatus.DECOMMISSIONED},
    {"model": "CH8"},
    {"hardware": "H2"},
    {"gbcs": "3.2"},
    {},
]
"""What a load says of a hub that differs from how it was; the last one puts it back."""


class Depth(StrEnum):
    """How far a roll-out is when a history begins."""

    ANNOUNCED = "announced"
    RUNNING = "running"
    INSTRUCTED = "instructed"
    DELIVERED = "delivered"
    CLAIMED = "claimed"
    ARMED = "armed"


class Tally:
    """What the histories of a kind came to."""

    def __init__(self) -> None:
        self.finished, self.steps = 0, 0
        self.met: Counter[str] = Counter()

    def __str__(self) -> str:
        return f"{self.finished} histories, {self.steps} steps: {dict(sorted(self.met.items()))}"


class Histories(RuleBasedStateMachine):
    """One history, in whatever world. Each kind of world has its own `tally`."""

    tally: ClassVar[Tally]

    def __init__(self) -> None:
        super().__init__()
        self._requests: list[tuple[Asked, str, Receipt]] = []
        self._keys = 0
        self._sound = False
        """Whether all steps so far were well: what follows a failure would hide it."""

    @abstractmethod
    def open_world(self, seed: int) -> World:
        """A new world."""

    @abstractmethod
    def close_world(self) -> None:
        """The end of it, whether it was opened or not."""

    @abstractmethod
    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it, to its end."""

    def then(self, work: Coroutine[Any, Any, Any], *, smi_may_change: bool = False) -> None:
        """A step, and the invariants after it."""
        self.world.step += 1
        self.tally.steps += 1
        self._sound = False
        self.run(work)
        self.run(self.watch.look(smi_may_change=smi_may_change))
        self._sound = True

    @initialize(
        seed=st.integers(1, 1_000_000),
        terms=st.sampled_from([Rule.VOLUNTARY, Rule.VOLUNTARY, Rule.MANDATORY]),
        waves=st.booleans(),
        depth=st.sampled_from([*Depth, Depth.CLAIMED]),
    )
    def begin(self, seed: int, terms: Rule, waves: bool, depth: Depth) -> None:
        self.world = self.open_world(seed)
        self.watch = Watch(self.world)
        self._notice = {"rule": terms, "waves": LATE_REGION if waves else ()}

        async def work() -> None:
            await self.world.begin()
            self.world.announce(**self._notice)
            if depth is not Depth.ANNOUNCED:
                await self.world.settle()
                await self.world.decide(Mode.PILOT, None, None)
                await self.world.decide(Mode.RUN, None, None)

        self.then(work(), smi_may_change=True)
        if depth in {Depth.INSTRUCTED, Depth.DELIVERED, Depth.CLAIMED, Depth.ARMED}:
            self.all_who_answer_ask("instruct", 20 * DAY)
            self.everything_arrives()
        if depth in {Depth.DELIVERED, Depth.CLAIMED, Depth.ARMED}:
            self.time_passes_and_everything_arrives(DAY)
        if depth is Depth.CLAIMED:
            self.time_passes(18 * DAY + 12 * HOUR)
            self.a_service_does_what_is_due("scheduler")
        if depth is Depth.ARMED:
            self.time_passes_and_everything_arrives(18 * DAY + 12 * HOUR)

    def teardown(self) -> None:
        try:
            if self._sound:
                self.run(self.world.settle())
                self.run(self.watch.look(smi_may_change=True))
                self.run(self.watch.end())
                self.tally.finished += 1
                self.tally.met += self.watch.met
        finally:
            self.close_world()

    # The log

    @rule(place=PLACES)
    def one_event_arrives(self, place: int) -> None:
        self.then(self.world.deliver(place), smi_may_change=True)

    @rule(place=PLACES)
    def one_event_arrives_again(self, place: int) -> None:
        self.then(self.world.deliver(place, again=True), smi_may_change=True)

    @rule(topic=st.sampled_from(HEARD), backwards=st.booleans())
    def a_topic_gets_ahead(self, topic: Topic, backwards: bool) -> None:
        self.then(self.world.deliver_all_of(topic, backwards=backwards), smi_may_change=True)

    @rule(name=st.sampled_from(NAMES))
    def a_service_does_what_is_due(self, name: str) -> None:
        self.then(self.world.tick(name))

    @rule()
    def everything_arrives(self) -> None:
        self.then(self.world.settle(), smi_may_change=True)

    @rule(span=SPANS)
    def time_passes(self, span: timedelta) -> None:
        self.then(self.world.pass_time(span))

    @rule(span=SPANS)
    def time_passes_and_everything_arrives(self, span: timedelta) -> None:
        async def work() -> None:
            await self.world.pass_time(span)
            await self.world.settle()

        self.then(work(), smi_may_change=True)

    @rule()
    def time_passes_until_something_is_due(self) -> None:
        async def work() -> None:
            await self.world.until_something_is_due()
            await self.world.settle()

        self.then(work(), smi_may_change=True)

    # Suppliers

    @rule(kind=st.sampled_from(["instruct", "withdraw", "decline"]), ahead=st.sampled_from([DAY, 5 * DAY, 20 * DAY]))
    def all_who_answer_ask(self, kind: str, ahead: timedelta) -> None:
        """Every Party asks the same for each hub that it answers for."""
        at = self.world.now + ahead if kind == "instruct" else None

        async def work() -> None:
            wanted: dict[tuple[PartyId, Role], list[HubId]] = {}
            for box in self.world.boxes.values():
                for party, role in ((box.imports, Role.IMPORT_SUPPLIER), (box.gas, Role.GAS_SUPPLIER)):
                    if party is not None:
                        wanted.setdefault((party, role), []).append(box.hub)
            for (party, role), hubs in wanted.items():
                self._keys += 1
                await self._submit(Asked(party, role, kind, tuple(hubs), "safe_launch", at))

        self.then(work())

    @rule(
        party=st.sampled_from(PARTIES),
        role=ROLES,
        kind=st.sampled_from(["instruct", "instruct", "instruct", "agree", "decline", "withdraw"]),
        hubs=st.lists(st.sampled_from(HUBS), min_size=1, max_size=4, unique=True),
        group=st.sampled_from(["safe_launch", "safe_launch", "pilot"]),
        ahead=st.sampled_from([None, DAY, 5 * DAY, 20 * DAY, 40 * DAY, 70 * DAY]),
    )
    def a_party_asks(
        self, party: PartyId, role: Role, kind: str, hubs: list[HubId], group: str, ahead: timedelta | None
    ) -> None:
        at = None if ahead is None or kind in {"decline", "withdraw"} else self.world.now + ahead
        asked = Asked(party, role, kind, tuple(hubs), group, at)
        self._keys += 1

        async def work() -> None:
            if kind == "agree":
                agreed = replace(asked, activate_at=await self.world.views.proposed_at(hubs[0]) or at)
            else:
                agreed = asked
            await self._submit(agreed)

        self.then(work())

    async def _submit(self, asked: Asked) -> None:
        answer = await self.world.submit(asked, f"key-{self._keys}")
        if isinstance(answer, Receipt):
            self._requests.append((asked, f"key-{self._keys}", answer))

    @rule(
        place=PLACES,
        kind=st.sampled_from(["instruct", "instruct", "withdraw", "decline"]),
        ahead=st.sampled_from([5 * DAY, 20 * DAY, 40 * DAY]),
    )
    def a_party_says_otherwise(self, place: int, kind: str, ahead: timedelta) -> None:
        """Who has asked for some hubs asks something else for the same ones."""
        if not self._requests:
            return
        asked, _, _ = self._requests[place % len(self._requests)]
        self._keys += 1
        at = self.world.now + ahead if kind == "instruct" else None
        self.then(self._submit(replace(asked, kind=kind, activate_at=at)))

    @rule(place=PLACES)
    def a_request_is_sent_again(self, place: int) -> None:
        """I2: the same answer, and other content under the same key is refused."""
        if not self._requests:
            return
        asked, key, first = self._requests[place % len(self._requests)]

        async def work() -> None:
            again = await self.world.submit(asked, key)
            assert again == replace(first, replayed=True), "another answer to the same request (I2)"
            assert isinstance(await self.world.submit(asked, key, digest=b"other"), str), "a key with two contents (I2)"

        self.then(work())

    # The inventory

    @rule(hub=st.sampled_from(HUBS), role=ROLES, party=st.sampled_from(PARTIES))
    def the_supplier_changes(self, hub: HubId, role: Role, party: PartyId) -> None:
        self.then(self.world.change_supplier(hub, role, party), smi_may_change=False)

    @rule(hub=st.sampled_from(HUBS), change=st.sampled_from(CHANGES))
    def the_inventory_is_loaded(self, hub: HubId, change: dict[str, Any]) -> None:
        box = self.world.boxes[hub]
        first = next(one for one in BOXES if one.hub == hub)
        self.then(self.world.load(replace(first, imports=box.imports, gas=box.gas, **change)))

    # The DCC

    @rule(
        mode=st.sampled_from([Mode.PILOT, Mode.RUN, Mode.RUN, Mode.PAUSE, Mode.PAUSE, Mode.HELD]),
        confirmed=st.sampled_from(["Panel", "Panel", None]),
    )
    def the_dcc_decides(self, mode: Mode, confirmed: str | None) -> None:
        self.then(self.world.decide(mode, None, confirmed))

    @rule(mode=st.sampled_from([Mode.PAUSE, Mode.PAUSE, Mode.HELD]))
    def a_halt_gets_ahead(self, mode: Mode) -> None:
        """The DCC halts; its decision, and that the edges obey it, arrive before anything else."""

        async def work() -> None:
            await self.world.decide(mode, None, "Panel")
            await self.world.deliver_all_of(ROLLOUT_DECISION, backwards=False)
            await self.world.deliver_all_of(ROLLOUT_FENCED, backwards=False)

        self.then(work())

    @rule(mode=st.sampled_from([Mode.STOP, Mode.REVOKED]), often=st.integers(0, 3))
    def the_dcc_ends_it(self, mode: Mode, often: int) -> None:
        if often == 0:
            self.then(self.world.decide(mode, None, "Panel"))

    @rule(days=st.sampled_from([-30, -10, 10, 30]), mode=st.sampled_from([Mode.RUN, Mode.RUN, Mode.PAUSE]))
    def the_date_moves(self, days: int, mode: Mode) -> None:
        async def work() -> None:
            date = await self.world.views.decided_date() or D
            await self.world.decide(mode, max(date + days * DAY, BEGIN + 40 * DAY), "Panel")

        self.then(work())
