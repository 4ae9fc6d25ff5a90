"""Hear: what hubs said while nobody heard them, late or twice, gets through."""

from collections.abc import Sequence

from chfw_common.events.alert import AlertItem
from chfw_common.events.response import ResponseItem
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.dues import earliest, parts_due
from chfw_common.runtime.service import Now, Outgoing, Pieces, Taken, Tick, Tx, Work, due_tick
from chfw_common.topology import CS06_ALERT
from chfw_device_sim.stages.say import Said, alert, answer
from chfw_device_sim.store import later


async def next_due(tx: Tx, _: Instant) -> Instant | None:
    """When the next word gets through."""
    return earliest(await later.dues(tx))


async def take(tx: Tx, now: Now, limit: int) -> Taken | None:
    """Let words through, from the partition on where one is due first; see `deliver.take`."""
    parts = parts_due(await later.dues(tx), looked := now())
    if not parts:
        return None
    words = await later.take(tx, parts, looked, limit)

    async def act() -> list[Outgoing]:
        return _said(words)

    return Taken([{"word": word.id, "hub": word.hub} for word in words], act, more=len(words) == limit)


async def put_off(tx: Tx, work: Work, until: Instant) -> None:
    """Let a word be heard at another time."""
    await later.put_off(tx, work["word"], until)


def tick() -> Tick:
    """The tick of this stage."""
    return due_tick("hear", Pieces(take, put_off), next_due)


def _said(words: Sequence[later.Heard]) -> list[Outgoing]:
    given: list[Said[ResponseItem]] = []
    raised: list[Said[AlertItem]] = []
    for word in words:
        if word.topic == CS06_ALERT.name:
            raised.append(Said(word.release_id, word.part, AlertItem.model_validate_json(word.item)))
        else:
            given.append(Said(word.release_id, word.part, ResponseItem.model_validate_json(word.item)))
    return [*answer(given), *alert(raised)]
