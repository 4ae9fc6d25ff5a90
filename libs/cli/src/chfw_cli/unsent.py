"""Events that the broker refused, so that their relay has parked them: look at them, send them again, drop them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from chfw_cli.chosen import FITS, Choice, rows_chosen
from chfw_cli.operator import write_down
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.service import Change
from chfw_common.topology import schema_of

_FIND = f"""
select id, topic, partition, event_id, length(payload) as bytes, error, parked_at from {{schema}}.parked_event
where {FITS} order by id
"""
_SEND_AGAIN = """
with gone as (delete from {schema}.parked_event where id = $1 returning *)
insert into {schema}.outbox (lane, topic, partition, key, event_id, event_type, event_time, payload, written_at)
select lane, topic, partition, key, event_id, event_type, event_time, payload, written_at from gone
"""
_DROP = "delete from {schema}.parked_event where id = $1"


@dataclass(frozen=True, slots=True)
class UnsentEvent:
    """An event that was not sent; `bytes` is the size of what it says."""

    service: str
    id: int
    topic: str
    partition: int
    event_id: UUID
    bytes: int
    error: str
    parked_at: Instant

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.service}:{self.id}"


async def find(connection: Any, choice: Choice) -> list[UnsentEvent]:
    """The events chosen, service by service, oldest first."""
    return [UnsentEvent(service, **dict(row)) for service, row in await rows_chosen(connection, choice, _FIND)]


async def send_again(connection: Any, events: Sequence[UnsentEvent]) -> None:
    """Put the events behind those that wait in the outbox, under their old ids: after the reason is mended.

    What was said later of the same key has left by now. Readers compare epochs and versions, so an old event that comes
    late changes nothing that a newer one has said.
    """
    await _each(connection, _SEND_AGAIN, events, "retry", {"outbox": True})


async def drop(connection: Any, events: Sequence[UnsentEvent]) -> None:
    """Forget the events: nobody will ever be told."""
    await _each(connection, _DROP, events, "drop", None)


async def _each(
    connection: Any, statement: str, events: Sequence[UnsentEvent], verb: str, after: dict[str, Any] | None
) -> None:
    async with connection.transaction():
        for event in events:
            await connection.execute(statement.format(schema=schema_of(event.service)), event.id)
        await write_down(connection, [(event.service, _change(verb, event, after)) for event in events])


def _change(verb: str, event: UnsentEvent, after: dict[str, Any] | None) -> Change:
    before = {"topic": event.topic, "partition": event.partition, "error": event.error}
    return Change(f"unsent {verb}", str(event.event_id), before, after)
