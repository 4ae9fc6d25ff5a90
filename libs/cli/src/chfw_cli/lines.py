"""Records out of line: look at them, and give up for good what is missing before one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chfw_cli.chosen import FITS, Choice, rows_chosen
from chfw_common.runtime.accepting import Decision
from chfw_common.topology import schema_of

_FIND = f"""
select p.id, o.topic, o.release_id, o.number, p.error,
       (select coalesce(max(t.number), 0) + 1 from {{schema}}.line_taken t
        where t.topic = o.topic and t.release_id = o.release_id) as due
from {{schema}}.out_of_line o join {{schema}}.parked_record p using (topic, partition, incarnation, "offset")
where {FITS} order by p.id
"""
_GIVE_UP = """
insert into {schema}.line_taken (topic, release_id, number, given_up_by, given_up_because, given_up_at)
select $1, $2, n, $5, $6, $7 from generate_series($3::int, $4::int - 1) n
"""


@dataclass(frozen=True, slots=True)
class OutOfLine:
    """A parked record that is out of line; `due` is the number that is due now."""

    service: str
    id: int
    topic: str
    release_id: str
    number: int
    error: str
    due: int

    @property
    def name(self) -> str:
        """What a person calls its parked record."""
        return f"{self.service}:{self.id}"

    @property
    def missing(self) -> range:
        """The numbers that would have to come before it. None for a second record of a number."""
        return range(self.due, max(self.due, self.number))


async def find(connection: Any, choice: Choice) -> list[OutOfLine]:
    """The records chosen, service by service, oldest first."""
    return [OutOfLine(service, **dict(row)) for service, row in await rows_chosen(connection, choice, _FIND)]


async def give_up(connection: Any, records: Sequence[OutOfLine], decision: Decision) -> int:
    """Give up what is missing before the records, so that each is the next one when it is handed in again.

    Says how many numbers. All of it or, when a reader has moved on meanwhile, none: the row is there then.
    """
    given_up = 0
    async with connection.transaction():
        for record in await find(connection, Choice(ids=tuple((one.service, one.id) for one in records))):
            await connection.execute(
                _GIVE_UP.format(schema=schema_of(record.service)),
                record.topic,
                record.release_id,
                record.due,
                record.number,
                decision.decided_by,
                decision.reason,
                decision.at,
            )
            given_up += len(record.missing)
    return given_up
