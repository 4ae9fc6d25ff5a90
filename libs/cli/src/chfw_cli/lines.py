"""Records out of line: look at them, and give up for good what is missing before one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chfw_cli.chosen import FITS, Choice, rows_chosen
from chfw_cli.operator import write_down
from chfw_common.runtime.accepting import Decision
from chfw_common.runtime.service import Change
from chfw_common.topology import schema_of

MOST = 1_000
"""So many numbers may be given up for one record: who would give up more has a record that was never true."""

_FIND = f"""
select p.id, o.topic, o.release_id, o.number, p.error, array(
    select n
    from (select coalesce(max(number), 0) as last from {{schema}}.line_taken
          where topic = o.topic and release_id = o.release_id) taken
    cross join lateral generate_series(1, least(o.number - 1, taken.last + {2 * MOST})) n
    where not exists (select from {{schema}}.line_taken other
                      where other.topic = o.topic and other.release_id = o.release_id and other.number = n)
      and not exists (select from {{schema}}.out_of_line other
                      where other.topic = o.topic and other.release_id = o.release_id and other.number = n)
    order by n
) as missing
from {{schema}}.out_of_line o join {{schema}}.parked_record p using (topic, partition, incarnation, "offset")
where {FITS} order by p.id
"""
_GIVE_UP = """
insert into {schema}.line_taken (topic, release_id, number, given_up_by, given_up_because, given_up_at)
select $1, $2, n, $4, $5, $6 from unnest($3::bigint[]) n on conflict do nothing
"""


class TooManyError(Exception):
    """More is missing before a record than anybody gives up."""


@dataclass(frozen=True, slots=True)
class OutOfLine:
    """A parked record that is out of line. `missing` would have to come before it: the numbers that were neither taken
    nor are parked themselves; none for a second record of a number."""

    service: str
    id: int
    topic: str
    release_id: str
    number: int
    error: str
    missing: Sequence[int]

    @property
    def name(self) -> str:
        """What a person calls its parked record."""
        return f"{self.service}:{self.id}"


async def find(connection: Any, choice: Choice) -> list[OutOfLine]:
    """The records chosen, service by service, oldest first."""
    return [OutOfLine(service, **dict(row)) for service, row in await rows_chosen(connection, choice, _FIND)]


async def give_up(connection: Any, records: Sequence[OutOfLine], decision: Decision) -> None:
    """Give up what is missing before the records, so that each is in line when they are handed in again in their order.

    All of it or nothing. Raises TooManyError.
    """
    async with connection.transaction():
        for record in records:
            if len(record.missing) > MOST:
                raise TooManyError(f"{record.name}: more than {MOST} are missing; drop a record that was never true")
            await connection.execute(
                _GIVE_UP.format(schema=schema_of(record.service)),
                record.topic,
                record.release_id,
                list(record.missing),
                decision.decided_by,
                decision.reason,
                decision.at,
            )
        await write_down(connection, [(record.service, _change(record, decision)) for record in records])


def _change(record: OutOfLine, decision: Decision) -> Change:
    after = {"given_up": list(record.missing), "reason": decision.reason, "decided_by": decision.decided_by}
    return Change("lines give-up", f"{record.topic} {record.release_id}", {"number": record.number}, after)
