"""The edges and the hubs of a pure history: devices in memory, and device-sim's own rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chfw_common.events.alert import ALERT_FAILURE, ALERT_SUCCESS, AlertItem
from chfw_common.events.command import HubCancel, HubCommand
from chfw_common.events.decision import RolloutDecision
from chfw_common.events.distributed import FirmwareDistributed
from chfw_common.events.fenced import RolloutFenced
from chfw_common.events.response import ResponseItem, ResponseKind
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import Instant, ceil_to_grid
from chfw_common.runtime.service import Outgoing, Received, release_event
from chfw_common.topology import ROLLOUT_FENCED
from chfw_device_sim.domain.capacity import Lane
from chfw_device_sim.domain.cs06 import Due, Hub, answers_at, execute, obey
from chfw_device_sim.domain.fate import SUCCESS
from chfw_device_sim.domain.image import Receipt as ImageReceipt
from chfw_device_sim.domain.image import Reception, Sent, receive
from chfw_device_sim.stages.network import Network
from chfw_device_sim.stages.receive_command import answer_of, command_of, refusal_of
from chfw_device_sim.stages.say import Said, alert, answer, refused_distribution
from tests.histories.views import Device

_Word = Said[ResponseItem] | Said[AlertItem]


@dataclass
class Thing:
    """A hub: what it knows of commands and of images, and what it did."""

    hub: Hub
    reception: Reception
    held_firmware: str | None = None
    alert_counter: int = 0
    tried_release: ReleaseId | None = None
    tried: int = 0
    activated_at: Instant | None = None
    activations: int = 0


class Devices:
    """All edges and their hubs."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.things: dict[HubId, Thing] = {}
        self._fences: dict[tuple[ReleaseId, str], int] = {}
        self._lanes = {edge: Lane(edge, 0, 0, 0, None) for edge in network.edges}
        self._later: list[tuple[Instant, _Word]] = []
        self.ticks = (self._deliver, self._activate, self._heard)

    def add(self, hub: HubId, part: int, region: str, firmware: str) -> None:
        """A hub as it leaves the factory."""
        self.things[hub] = Thing(
            Hub(hub, part, region, firmware, 0, None, None, 0, None),
            Reception(hub, part, region, None, None, None, None, None, None, None, None, 0),
        )

    def hear(self, message: Received[Any], now: Instant) -> list[Outgoing]:
        """Take an event in. Edges learn of a release without a fence: one that is missing is 0."""
        event = message.event
        match event:
            case RolloutDecision():
                return self._fence(event, now)
            case FirmwareDistributed():
                return self._receive_image(message, now)
            case HubCommand() | HubCancel():
                return self._receive_command(message, now)
        return []

    def _fence(self, event: RolloutDecision, now: Instant) -> list[Outgoing]:
        outgoing = []
        for edge in self.network.edges:
            key = (event.release_id, edge)
            self._fences[key] = max(event.min_epoch, self._fences.get(key, 0))
            fenced = RolloutFenced(release_id=event.release_id, edge=edge, min_epoch=self._fences[key], fenced_at=now)
            outgoing.append(release_event(ROLLOUT_FENCED, event.release_id, fenced))
        return outgoing

    def _receive_image(self, message: Received[FirmwareDistributed], now: Instant) -> list[Outgoing]:
        event = message.event
        sent = Sent(event.release_id, event.firmware, event.image_hash, event.epoch)
        passage = self.network.passage(message, self._fences, now)
        given = []
        for hub in event.hubs:
            thing = self.things[hub]
            region, part = thing.hub.region, thing.hub.part
            refused = passage[region]
            if refused is not None:
                given.append(Said(event.release_id, part, refused_distribution(hub, event.epoch, refused, now)))
                continue
            receipt, thing.reception, self._lanes[region] = receive(
                thing.reception, sent, self.network.radio, self._lanes[region],
                capacity=self.network.capacity[region], now=now,
            )  # fmt: skip
            if receipt is ImageReceipt.HELD:
                item = ResponseItem(hub=hub, kind=ResponseKind.DELIVERED, at=now, epoch=event.epoch)
                given.append(Said(event.release_id, part, item))
        return answer(given)

    def _receive_command(self, message: Received[Any], now: Instant) -> list[Outgoing]:
        event: HubCommand | HubCancel = message.event
        passage = self.network.passage(message, self._fences, now)
        given: list[Said[ResponseItem]] = []
        for item in event.items:
            thing = self.things[item.hub]
            refused = passage[thing.hub.region]
            if refused is not None:
                word = refusal_of(event, item, refused.value, now)
                given.append(Said(event.release_id, thing.hub.part, word))
                continue
            thing.hub = obey(thing.hub, command_of(event, item), now)
            if thing.hub.receipt is not None:
                said = Said(thing.hub.receipt.release_id, thing.hub.part, answer_of(item, thing.hub.receipt))
                given += self._now_or_later(said, answers_at(thing.hub, self.network.radio.fate, now), now)
        return answer(given)

    def _now_or_later(self, said: Said[Any], heard_at: Instant, now: Instant) -> Sequence[Said[Any]]:
        if heard_at <= now:
            return [said]
        self._later.append((ceil_to_grid(heard_at, self.network.radio.grid), said))
        return []

    # Ticks: what was done, or None where nothing was due

    def _deliver(self, now: Instant) -> list[Outgoing] | None:
        arriving = [thing for thing in self.things.values() if _is_due(thing.reception.deliver_at, now)]
        given = []
        for thing in arriving:
            coming, region = thing.reception, thing.hub.region
            assert coming.coming_release is not None
            failure = self.network.radio.fate.delivery(coming.hub, coming.coming_release, coming.deliveries)
            kind = ResponseKind.DELIVERED if failure is None else ResponseKind.DELIVERY_FAILED
            reason = None if failure is None else failure.value
            item = ResponseItem(hub=coming.hub, kind=kind, at=now, epoch=coming.coming_epoch, reason=reason)
            given.append(Said(coming.coming_release, coming.part, item))
            if failure is None:
                thing.held_firmware = coming.coming_firmware
            thing.reception = coming._replace(
                held_hash=coming.coming_hash if failure is None else coming.held_hash,
                coming_release=None, coming_firmware=None, coming_hash=None, coming_epoch=None, deliver_at=None,
            )  # fmt: skip
            lane = self._lanes[region]
            self._lanes[region] = lane._replace(in_flight=lane.in_flight - 1)
        return answer(given) if arriving else None

    def _activate(self, now: Instant) -> list[Outgoing] | None:
        due = [thing for thing in self.things.values() if thing.hub.armed and thing.hub.armed.at <= now]
        raised: list[Said[AlertItem]] = []
        for thing in due:
            raised += self._execute(thing, now)
        return alert(raised) if due else None

    def _execute(self, thing: Thing, now: Instant) -> Sequence[Said[AlertItem]]:
        hub, armed = thing.hub, thing.hub.armed
        assert armed is not None
        done = execute(
            Due(
                hub.hub, hub.part, hub.region, hub.firmware, thing.held_firmware, thing.reception.held_hash,
                armed.release_id, armed.image_hash, armed.counter, thing.tried_release, thing.tried,
                thing.alert_counter,
            ),
            self.network.radio.fate,
            now,
        )  # fmt: skip
        thing.alert_counter, thing.tried_release, thing.tried = done.alert_counter, armed.release_id, done.attempt
        if done.outcome == SUCCESS:
            again = hub.activated_release == armed.release_id
            thing.activated_at, thing.activations = now, thing.activations + 1 if again else 1
            hub = hub._replace(activated_release=armed.release_id)
        thing.hub = hub._replace(
            firmware=done.firmware, executed_counter=armed.counter, armed=None, restarts_until=done.restarts_until
        )
        if not done.keeps_image:
            thing.held_firmware, thing.reception = None, thing.reception._replace(held_hash=None)
        item = AlertItem(
            hub=hub.hub, alert_code=ALERT_SUCCESS if done.outcome == SUCCESS else ALERT_FAILURE,
            alert_counter=done.alert_counter, command_counter=armed.counter, outcome=done.outcome,
            firmware=done.firmware, executed_at=now,
        )  # fmt: skip
        said = Said(armed.release_id, hub.part, item)
        return [word for heard_at in done.alert_at for word in self._now_or_later(said, heard_at, now)]

    def _heard(self, now: Instant) -> list[Outgoing] | None:
        due = [said for at, said in self._later if at <= now]
        if not due:
            return None
        self._later = [(at, said) for at, said in self._later if at > now]
        answers: list[Any] = [said for said in due if isinstance(said.item, ResponseItem)]
        alerts: list[Any] = [said for said in due if isinstance(said.item, AlertItem)]
        return [*answer(answers), *alert(alerts)]

    def next_due(self, _: Instant) -> Instant | None:
        """When there is next something to do."""
        dues = [at for at, _ in self._later]
        for thing in self.things.values():
            dues += [] if thing.reception.deliver_at is None else [thing.reception.deliver_at]
            dues += [] if thing.hub.armed is None else [thing.hub.armed.at]
        return min(dues, default=None)

    def shown(self) -> list[Device]:
        """The hubs, for the invariants."""
        return [
            Device(
                hub, thing.hub.firmware, thing.hub.armed and thing.hub.armed.counter, thing.hub.activated_release,
                thing.activated_at, thing.activations, thing.hub.executed_counter,
            )
            for hub, thing in self.things.items()
        ]  # fmt: skip


def _is_due(at: Instant | None, now: Instant) -> bool:
    return at is not None and at <= now
