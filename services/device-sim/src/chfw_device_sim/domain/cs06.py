"""CS06 and its neighbours as a hub acts on them: activate at a time, cancel, read the version; and the activation.

The counter decides what is new (GBCS replay protection): a command whose counter is not above the highest seen is
answered by the stored receipt and changes nothing, so a hub activates a release at most once (I8).
"""

from enum import StrEnum
from typing import NamedTuple

from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_device_sim.domain.fate import HASH_MISMATCH, NO_IMAGE_HELD, SUCCESS, Fate

NOT_FUTURE_DATED = "not_future_dated"


class Asked(StrEnum):
    """What a command wants."""

    ACTIVATE = "activate"
    CANCEL = "cancel"
    READ = "read_version"


class Answer(StrEnum):
    """What a hub answers to a command."""

    ACTIVATION_ACCEPTED = "activation_accepted"
    ACTIVATION_REFUSED = "activation_refused"
    CANCEL_ACCEPTED = "cancel_accepted"
    CANCEL_TOO_LATE = "cancel_too_late"
    VERSION_READ = "version_read"


class Receipt(NamedTuple):
    """An answer as the hub keeps it, to give it again."""

    kind: Answer
    release_id: ReleaseId
    counter: int
    epoch: int
    at: Instant
    reason: str | None = None
    firmware: str | None = None


class Armed(NamedTuple):
    """An activation that the hub will do by itself."""

    release_id: ReleaseId
    image_hash: str
    counter: int
    at: Instant


class Hub(NamedTuple):
    """What a hub knows of commands. `executed_counter` is that of the last activation it did, well or badly.

    Until `restarts_until` it says nothing, because it restarts.
    """

    hub: HubId
    part: int
    region: str
    firmware: str
    counter: int
    receipt: Receipt | None
    armed: Armed | None
    executed_counter: int
    activated_release: ReleaseId | None
    restarts_until: Instant | None = None


class Command(NamedTuple):
    """One command as it reaches the hub."""

    asked: Asked
    release_id: ReleaseId
    image_hash: str
    epoch: int
    counter: int
    activate_at: Instant | None = None
    cancels: int | None = None


def obey(hub: Hub, command: Command, now: Instant) -> Hub:
    """The hub after a command; its receipt is the answer. Unchanged (the same object) when the counter is not new."""
    if command.counter <= hub.counter:
        return hub
    if command.asked is Asked.ACTIVATE:
        return _activate(hub, command, now)
    if command.asked is Asked.CANCEL:
        return _cancel(hub, command, now)
    return hub._replace(
        counter=command.counter, receipt=_receipt(Answer.VERSION_READ, command, now, firmware=hub.firmware)
    )


def answers_at(hub: Hub, fate: Fate, now: Instant) -> Instant:
    """When the answer of a hub is heard: after its restart, and on a day on which it is within reach."""
    at = now if hub.restarts_until is None else max(now, hub.restarts_until)
    return fate.within_reach(hub.hub, hub.region, at)


def _activate(hub: Hub, command: Command, now: Instant) -> Hub:
    if command.activate_at is None:
        refused = _receipt(Answer.ACTIVATION_REFUSED, command, now, reason=NOT_FUTURE_DATED)
        return hub._replace(counter=command.counter, receipt=refused)
    accepted = _receipt(Answer.ACTIVATION_ACCEPTED, command, now)
    if hub.activated_release == command.release_id:
        # Done before: the hub says yes, as to any repeat, never does it twice (I8), and it is too late to cancel.
        return hub._replace(counter=command.counter, receipt=accepted, executed_counter=command.counter)
    return Hub(  # the way of nearly all commands: in full, because `_replace` takes three times as long
        hub.hub,
        hub.part,
        hub.region,
        hub.firmware,
        command.counter,
        accepted,
        Armed(command.release_id, command.image_hash, command.counter, command.activate_at),
        hub.executed_counter,
        hub.activated_release,
        hub.restarts_until,
    )


def _cancel(hub: Hub, command: Command, now: Instant) -> Hub:
    """Whatever is armed for the release up to the counter named is given up, as by a CS06 of a date that never comes.

    What was never armed here needs no calling back: its counter is below this one's, so it cannot come later.
    """
    called_back = command.cancels
    if called_back is None:
        called_back = hub.armed.counter if hub.armed else 0
    too_late = 0 < called_back <= hub.executed_counter
    armed = hub.armed
    disarm = armed is not None and armed.release_id == command.release_id and armed.counter <= called_back
    return hub._replace(
        counter=command.counter,
        receipt=_receipt(Answer.CANCEL_TOO_LATE if too_late else Answer.CANCEL_ACCEPTED, command, now),
        armed=None if disarm else hub.armed,
    )


def _receipt(
    kind: Answer, command: Command, now: Instant, *, reason: str | None = None, firmware: str | None = None
) -> Receipt:
    return Receipt(kind, command.release_id, command.counter, command.epoch, now, reason, firmware)


class Due(NamedTuple):
    """A hub whose time has come."""

    hub: HubId
    part: int
    region: str
    firmware: str
    held_firmware: str | None
    held_hash: str | None
    armed_release: ReleaseId
    armed_hash: str
    armed_counter: int
    activation_release: ReleaseId | None
    activations_tried: int
    alert_counter: int


class Executed(NamedTuple):
    """An activation done: what runs now, and when its alert gets through. A lost alert uses up its counter.

    `keeps_image` is false when the hub has none, or found it broken and discards it: the next one travels anew. An
    image that is only another one than the command names is kept.
    """

    hub: HubId
    outcome: int
    keeps_image: bool
    firmware: str
    attempt: int
    alert_counter: int
    alert_at: tuple[Instant, ...]
    restarts_until: Instant | None


def execute(due: Due, fate: Fate, now: Instant) -> Executed:
    """The activation, in the order of GBCS: no image, another image, then the activation itself."""
    attempt = due.activations_tried + 1 if due.activation_release == due.armed_release else 1
    if due.held_hash is None or due.held_firmware is None:
        outcome = NO_IMAGE_HELD
    elif due.held_hash != due.armed_hash:
        outcome = HASH_MISMATCH
    else:
        outcome = fate.activation(due.hub, due.armed_release, attempt)
    back = now + fate.restart(due.hub, due.armed_release, attempt)
    delays = fate.alert_delays(due.hub, due.armed_release, attempt)
    return Executed(
        hub=due.hub,
        outcome=outcome,
        keeps_image=outcome not in {NO_IMAGE_HELD, HASH_MISMATCH} or due.held_hash not in {None, due.armed_hash},
        firmware=due.held_firmware if outcome == SUCCESS and due.held_firmware is not None else due.firmware,
        attempt=attempt,
        alert_counter=due.alert_counter + 1,
        alert_at=tuple(fate.within_reach(due.hub, due.region, back + delay) for delay in delays),
        restarts_until=back if back > now else None,
    )
