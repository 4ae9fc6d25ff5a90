"""The outbox: events are written in the transaction that makes them true, and relayed afterwards (`relay`)."""

import asyncio
from collections.abc import Iterable, Sequence

from chfw_common.kernel.instants import Instant
from chfw_common.runtime import envelope
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.columns import columns
from chfw_common.runtime.errors import EventTooLargeError
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import EVENT_BYTES, Outgoing, Tx
from chfw_common.topology import LANES

NO_LANES: frozenset[int] = frozenset()
QUERIES = load_queries("chfw_common.runtime", "sql/outbox.sql")


class Wake:
    """What the relays of a process wait for, lane by lane."""

    def __init__(self) -> None:
        self._events = {lane: asyncio.Event() for lane in LANES}

    def of(self, lane: int) -> asyncio.Event:
        """Set when there are new rows in the lane."""
        return self._events[lane]

    def lanes(self, lanes: Iterable[int]) -> None:
        """Rows of these lanes were committed."""
        for lane in lanes:
            self._events[lane].set()


async def write_outbox(tx: Tx, outgoing: Sequence[Outgoing], cause: str, now: Instant) -> frozenset[int]:
    """Write the events of one cause. Last in the lock order. Gives the lanes they took.

    Raises EventTooLargeError for an event that no broker would take: the transaction that makes it true must fail.
    """
    if not outgoing:
        return NO_LANES
    written = machine_now()
    lanes = [out.topic.lane if out.lane is None else out.lane for out in outgoing]
    rows = (
        (
            lane,
            out.topic.name,
            out.partition,
            out.key,
            envelope.event_id(cause, out.topic.name, out.key, ordinal),
            out.event.TYPE,
            payload_of(out),
        )
        for ordinal, (lane, out) in enumerate(zip(lanes, outgoing, strict=True))
    )
    await tx.execute(QUERIES["write_events"], *columns(rows), now, written)
    return frozenset(lanes)


def payload_of(out: Outgoing) -> bytes:
    """The event as JSON. Raises EventTooLargeError."""
    payload = out.payload or out.event.model_dump_json().encode()
    if len(payload) > EVENT_BYTES:
        raise EventTooLargeError(
            f"an event of {out.topic.name} has {len(payload)} bytes, {EVENT_BYTES} are the most that may be sent"
        )
    return payload
