"""Whole lives of a hub against the hub's own rules: messages repeated, lost and out of order, decisions in between.

The hub is that of the simulated network (its CS06 rules), the edge is a minimum epoch. What is random comes from
Hypothesis; then everything is let settle, and the ledger must agree with the hub.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from chfw_common.kernel.catalogue import REASONS
from chfw_common.kernel.hubs import DeviceStatus
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import HALTS, HubState, Mode
from chfw_common.kernel.waves import Wave
from chfw_device_sim.domain.cs06 import Answer, Asked, Command, Hub, obey
from chfw_scheduler.domain import hear
from chfw_scheduler.domain.act import Action, Arm, Cancel, Distribute, call_back, claim, pass_time
from chfw_scheduler.domain.facts import Facts, Inventory
from chfw_scheduler.domain.rollout import Decision, Rollout
from chfw_scheduler.domain.state import consented, show
from tests.unit.scheduler.test_state import BLANK, BOTH, DAY, ELEC, GAS, HOUR, MAKE, RECEIVED, ROLLOUT, D, T, said

RELEASE = ReleaseId("r1")
Response = Callable[[Facts], hear.Learnt]
ENDS = {HubState.CONFIRMED, HubState.FAILED_FINAL, HubState.CANCELLED, HubState.UNREACHABLE}


@dataclass
class World:
    """The ledger row on one side, the edge and the hub on the other, and what is under way between them."""

    facts: Facts
    rollout: Rollout = ROLLOUT
    now: Instant = RECEIVED
    hub: Hub = field(default_factory=lambda: Hub(HubId(7), 3, "North", "OLD", 0, None, None, 0, None))
    min_epoch: int = 0
    smi: int = 1
    smi_at: Instant = RECEIVED
    smi_read: int = 0
    activations: int = 0
    lost: int = 0
    outbound: list[tuple[Action, int, Instant]] = field(default_factory=list)
    inbound: list[Response] = field(default_factory=list)
    certain: list[Response] = field(default_factory=list)
    """What the inventory says comes through the log, which loses nothing; only a hub's own word can get lost."""
    failures: list[int] = field(default_factory=list)
    lost_alerts: list[bool] = field(default_factory=list)

    def send(self, action: Action | None) -> None:
        if action is not None:
            self.outbound.append((action, self.rollout.decision.epoch, self.now + HOUR))

    def tick(self) -> bool:
        """Claim and watch what is due; says whether anything was."""
        shown = show(self.facts, self.rollout)
        if self.rollout.may_claim and shown.claim_at is not None and shown.claim_at <= self.now:
            agreed = consented(self.facts, self.rollout)
            self.facts, action = claim(self.facts, shown.state, self.rollout, self.now)
            if isinstance(action, Arm):
                assert action.activate_at >= max(shown.activate_at or self.now, agreed.opens or self.now)
            self.send(action)
            return True
        if shown.check_at is not None and shown.check_at <= self.now:
            self.facts, action = pass_time(self.facts, shown.state, self.rollout, self.now)
            self.send(action)
            return True
        return False

    def job(self) -> None:
        self.facts, action = call_back(self.facts, self.rollout, self.now)
        self.send(action)

    def decide(self, mode: Mode) -> None:
        known = self.rollout.decision
        if known.mode in {Mode.STOP, mode}:
            return
        halt = known.epoch + 1 if mode in HALTS else known.min_epoch
        self.rollout = replace(self.rollout, decision=Decision(known.epoch + 1, halt, mode, RECEIVED))
        self.min_epoch = halt
        self.job()

    def forward(self, *, repeat: bool = False) -> None:
        """The edge judges the oldest message and the hub obeys. What a hub was to do before, it has done by then."""
        self.fire()
        if not self.outbound:
            return
        action, epoch, until = self.outbound[0] if repeat else self.outbound.pop(0)
        now, refused = self.now, epoch < self.min_epoch or self.now > until
        if isinstance(action, Distribute):
            if refused:
                self.inbound.append(lambda f: hear.distribution_refused(f, now, epoch, "stale_epoch"))
            else:
                self.inbound.append(lambda f: hear.delivered(f, now))
            return
        counter = action.counter
        if refused:
            self.inbound.append(lambda f: hear.command_refused(f, counter, now, "stale_epoch"))
            return
        asked = (
            Asked.ACTIVATE if isinstance(action, Arm) else Asked.CANCEL if isinstance(action, Cancel) else Asked.READ
        )
        at = action.activate_at if isinstance(action, Arm) else None
        cancels = action.cancels if isinstance(action, Cancel) else None
        self.hub = obey(self.hub, Command(asked, RELEASE, "h", epoch, counter, at, cancels), now)
        assert self.hub.receipt is not None
        self._answer(self.hub.receipt.kind, self.hub.receipt.counter, self.hub.receipt.at, self.hub.receipt.firmware)

    def _answer(self, kind: Answer, counter: int, at: Instant, firmware: str | None) -> None:
        answers: dict[Answer, Response] = {
            Answer.ACTIVATION_ACCEPTED: lambda f: hear.armed(f, counter, at),
            Answer.CANCEL_ACCEPTED: lambda f: hear.cancelled(f, counter, at),
            Answer.CANCEL_TOO_LATE: lambda f: hear.cancel_too_late(f, counter, at),
            Answer.VERSION_READ: lambda f: hear.version_read(f, counter, at, new_firmware=firmware == "NEW"),
        }
        if kind is Answer.VERSION_READ and firmware is not None and counter > self.smi_read:
            self.smi_read = counter
            self._inventory(firmware, at)
        self.inbound.append(answers[kind])

    def _inventory(self, firmware: str, at: Instant) -> None:
        """The inventory takes a read once, and an older word never replaces the version of a younger one."""
        if at < self.smi_at:
            return
        self.smi, self.smi_at = self.smi + 1, at
        said_by_smi = Inventory(self.smi, firmware, DeviceStatus.COMMISSIONED, "North", BOTH, MAKE)
        word: Response = lambda f: (hear.inventory_says(f, said_by_smi), None)  # noqa: E731 - one of many like it
        self.inbound.append(word)
        self.certain.append(word)

    def fire(self) -> None:
        """The hub acts when its time has come, well or badly; the alert may get lost.

        Of a halted release only hubs act that the ledger has in force, so counts at risk, and calls back (I7).
        """
        armed = self.hub.armed
        if armed is None or armed.at > self.now:
            return
        known = self.facts.arming
        halted = known.epoch < self.rollout.decision.min_epoch
        may_act = known.in_force if halted else known.may_fire
        assert may_act or known.outcome is not None, "a hub acts that nobody counts at risk"
        code = self.failures.pop() if self.failures else 0
        now, counter = self.now, armed.counter
        self.activations += code == 0
        assert self.activations <= 1, "activated twice (I8)"
        self.hub = self.hub._replace(
            armed=None,
            executed_counter=counter,
            firmware="NEW" if code == 0 else self.hub.firmware,
            activated_release=RELEASE if code == 0 else self.hub.activated_release,
        )
        if not (self.lost_alerts and self.lost_alerts.pop()):
            word: Response = lambda f: hear.outcome(f, counter, code, now)  # noqa: E731 - one of many like it
            self.inbound.append(word)
            self.certain.append(word)
            self._inventory(self.hub.firmware, now)

    def lose(self, place: int) -> None:
        """A hub's word gets lost on its way."""
        losable = [word for word in self.inbound if word not in self.certain]
        if losable:
            self.lost += 1
            self.inbound.remove(losable[place % len(losable)])

    def lose_command(self) -> None:
        """A command gets lost behind the edge."""
        if self.outbound:
            self.lost += 1
            self.outbound.pop(0)

    def respond(self, place: int, *, repeat: bool = False) -> None:
        """The ledger hears one of the answers under way."""
        if self.inbound:
            heard = self.inbound[place % len(self.inbound)]
            if not repeat:
                self.inbound.remove(heard)
            self.facts, _ = heard(self.facts)
            self.job()

    def settle(self) -> None:
        """Nothing is lost any more; time goes on until nothing is due."""
        for _ in range(400):
            self.fire()
            if self.outbound:
                self.forward()
            elif self.inbound:
                self.respond(0)
            elif not self.tick():
                shown = show(self.facts, self.rollout)
                claims = [shown.claim_at] if shown.claim_at and self.rollout.may_claim else []
                dues = [*claims, *([shown.check_at] if shown.check_at else [])]
                dues += [self.hub.armed.at] if self.hub.armed else []
                if not dues:
                    return
                self.now = max(self.now, min(dues))
        raise AssertionError("it never settles")


steps = st.one_of(
    st.tuples(st.just("tick"), st.just(0)),
    st.tuples(st.sampled_from(["forward", "forward again", "lose command"]), st.just(0)),
    st.tuples(st.sampled_from(["respond", "respond", "respond again", "lose answer"]), st.integers(0, 3)),
    st.tuples(st.just("hours"), st.sampled_from([0, 1, 2, 25, 24 * 6])),
    st.tuples(st.just("decide"), st.sampled_from([0, 0, 1, 1, 2])),
    st.tuples(st.just("fire"), st.just(0)),
)


def act(world: World, step: tuple[str, int]) -> None:
    what, n = step
    deeds: dict[str, Callable[[], object]] = {
        "tick": world.tick,
        "forward": world.forward,
        "forward again": lambda: world.forward(repeat=True),
        "lose command": world.lose_command,
        "respond": lambda: world.respond(n),
        "respond again": lambda: world.respond(n, repeat=True),
        "lose answer": lambda: world.lose(n),
        "decide": lambda: world.decide((Mode.PAUSE, Mode.RUN, Mode.STOP)[n]),
        "fire": world.fire,
    }
    if what == "hours":
        world.now += n * HOUR
    else:
        deeds[what]()


TO_EVE = int((T - 12 * HOUR - RECEIVED) / HOUR)
QUIET = [("tick", 0), ("forward", 0), ("respond", 0), ("hours", TO_EVE), ("tick", 0), ("forward", 0), ("respond", 0)]
"""From consent to armed; a story begins somewhere on the way."""


LATE = replace(ROLLOUT, waves=(Wave("late", T + 3 * DAY, D),))
"""The same hub in a wave that opens after the time on which its Suppliers agreed."""


REFUSED_THEN_STOPPED = [
    ("forward again", 0), ("lose answer", 0), ("hours", 2), ("forward", 0), ("respond", 0), ("decide", 2),
    ("hours", 25), ("fire", 0),
]  # fmt: skip
"""One copy of a CS06 passes and its answer is lost, another is refused once its permit has run out; then a stop."""


@settings(max_examples=500)
@example(story=REFUSED_THEN_STOPPED, failures=[], lost=[], lived=5, rollout=ROLLOUT)
@given(
    st.lists(steps, min_size=10, max_size=60),
    st.lists(st.sampled_from([1, 3]), max_size=3),
    st.lists(st.booleans(), max_size=3),
    st.integers(0, len(QUIET)),
    st.sampled_from([ROLLOUT, LATE]),
)
def test_every_life_comes_to_an_end_that_agrees_with_the_hub(
    story: list[tuple[str, int]], failures: list[int], lost: list[bool], lived: int, rollout: Rollout
) -> None:
    """A hub that activated is confirmed; one that did not is not, and a halted release leaves none armed (I6 to I8)."""
    start = BLANK._replace(consent=BLANK.consent._replace(answers=(said(ELEC), said(GAS))))
    world = World(start, rollout, failures=failures, lost_alerts=lost)
    for step in [*QUIET[:lived], *story]:
        act(world, step)
        shown = show(world.facts, world.rollout)
        assert shown.reason in {None, *REASONS} or shown.state is HubState.SUPERSEDED
    world.settle()
    state = show(world.facts, world.rollout).state
    if state is HubState.UNREACHABLE:
        assert world.lost, "every read was answered or refused"
    else:
        assert (state is HubState.CONFIRMED) == (world.hub.firmware == "NEW")
    assert world.hub.armed is None
    if world.rollout.decision.mode is Mode.RUN:
        assert state in ENDS, state
