"""Hear: what hubs said while nobody heard them, late or twice, gets through."""

from chfw_common.events.alert import AlertItem
from chfw_common.events.response import ResponseItem
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.dues import earliest, parts_due
from chfw_common.runtime.service import Now, TickResult, Tx
from chfw_common.topology import CHUNK, CS06_ALERT
from chfw_device_sim.stages.say import Said, alert, answer
from chfw_device_sim.store import later


async def next_due(tx: Tx, _: Instant) -> Instant | None:
    """When the next word gets through."""
    return earliest(await later.dues(tx))


async def tick(tx: Tx, now: Now) -> TickResult:
    """Let up to a chunk of words through, from the partition on where one is due first; see `deliver.tick`."""
    parts = parts_due(await later.dues(tx), looked := now())
    if not parts:
        return TickResult()
    given: list[Said[ResponseItem]] = []
    raised: list[Said[AlertItem]] = []
    words = await later.take(tx, parts, looked)
    for word in words:
        if word.topic == CS06_ALERT.name:
            raised.append(Said(word.release_id, word.part, AlertItem.model_validate_json(word.item)))
        else:
            given.append(Said(word.release_id, word.part, ResponseItem.model_validate_json(word.item)))
    return TickResult([*answer(given), *alert(raised)], more=len(words) == CHUNK)
