"""Receive a command: each edge forwards it to its hubs, which obey and answer, or refuses it."""

from chfw_common.events.command import CommandItem, CommandKind, HubCancel, HubCommand
from chfw_common.events.response import ResponseItem, ResponseKind
from chfw_common.kernel.instants import Instant, ceil_to_grid
from chfw_common.runtime.service import Batch, Now, Outcome, Tx
from chfw_device_sim.domain.cs06 import Answer, Asked, Command, Receipt, answers_at, obey
from chfw_device_sim.stages.network import Network
from chfw_device_sim.stages.say import Said, answer
from chfw_device_sim.store import anomaly, command, fence, later

_ASKED = {
    CommandKind.ACTIVATE: Asked.ACTIVATE,
    CommandKind.CANCEL: Asked.CANCEL,
    CommandKind.READ: Asked.READ,
}
_KINDS = {entry: ResponseKind(entry.value) for entry in Answer}


async def handle(network: Network, tx: Tx, batch: Batch[HubCommand | HubCancel], now: Now) -> Outcome:
    """Judge at the edges under their locks; what passes is obeyed and answered in the same transaction.

    A hub that is out of reach today, or restarts, has got the command all the same; its answer is heard later. The time
    is asked last, when nothing is waited for any more: a permit that ended during the wait has ended.
    """
    fate, grid = network.radio.fate, network.radio.grid
    bound = {event.release_id for event in batch.events if isinstance(event, HubCommand)}
    fences = await fence.share(tx, bound, network.edges) if bound else {}
    before = await command.lock(tx, (item.hub for event in batch.events for item in event.items))
    at, known = now(), dict(before)
    given: list[Said[ResponseItem]] = []
    kept: list[later.Later] = []
    odd: list[anomaly.Anomaly] = []
    for message in batch.messages:
        event = message.event
        passage = network.passage(message, fences, at)
        for item in event.items:
            hub = known.get(item.hub)
            if hub is None or hub.region not in passage:
                what = anomaly.UNKNOWN_HUB if hub is None else anomaly.NO_EDGE
                odd.append(anomaly.Anomaly(what, item.hub, event.release_id, item.counter))
                continue
            refused = passage[hub.region]
            if refused is not None:
                given.append(Said(event.release_id, hub.part, refusal_of(event, item, refused.value, at)))
            elif not fate.never_answers(item.hub):
                known[item.hub] = hub = obey(hub, command_of(event, item), at)
                if hub.receipt is not None:
                    word = Said(hub.receipt.release_id, hub.part, answer_of(item, hub.receipt))
                    heard_at = answers_at(hub, fate, at)
                    if heard_at > at:
                        kept.append(word.later(ceil_to_grid(heard_at, grid)))
                    else:
                        given.append(word)
    await command.save(tx, [hub for key, hub in known.items() if hub is not before[key]])
    await later.put(tx, kept)
    await anomaly.record(tx, odd, at)
    return Outcome(answer(given))


def command_of(event: HubCommand | HubCancel, item: CommandItem) -> Command:
    """One command as it reaches the hub."""
    return Command(
        _ASKED[event.kind],
        event.release_id,
        event.image_hash,
        event.epoch,
        item.counter,
        item.activate_at,
        item.cancels,
    )


def refusal_of(event: HubCommand | HubCancel, item: CommandItem, reason: str, now: Instant) -> ResponseItem:
    """What an edge answers that does not forward a command."""
    return ResponseItem(
        hub=item.hub,
        kind=ResponseKind.COMMAND_REFUSED,
        at=now,
        epoch=event.epoch,
        counter=item.counter,
        reason=reason,
    )


def answer_of(item: CommandItem, receipt: Receipt) -> ResponseItem:
    """What the hub answers; a repeat of a command gets the same answer."""
    kind, _, counter, epoch, at, reason, firmware = receipt
    return ResponseItem(
        hub=item.hub, kind=_KINDS[kind], at=at, epoch=epoch, counter=counter, reason=reason, firmware=firmware
    )
