"""Work that failed again and again, so that its service has set it aside: look at it, have it tried again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chfw_cli.chosen import FITS, Choice, rows_chosen
from chfw_cli.operator import write_down
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.service import Change
from chfw_common.topology import schema_of

_FIND = f"""
select id, tick, work::text as work, error, set_aside_at, retry from {{schema}}.set_aside
where {FITS} order by id
"""
_RETRY = "update {schema}.set_aside set retry = true where id = $1"


@dataclass(frozen=True, slots=True)
class SetAside:
    """A piece of work; `work` is what it is found by. `retry`: its service will try it again within seconds."""

    service: str
    id: int
    tick: str
    work: str
    error: str
    set_aside_at: Instant
    retry: bool

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.service}:{self.id}"


async def find(connection: Any, choice: Choice) -> list[SetAside]:
    """The work chosen, service by service, oldest first."""
    return [SetAside(service, **dict(row)) for service, row in await rows_chosen(connection, choice, _FIND)]


async def retry(connection: Any, work: Sequence[SetAside]) -> None:
    """Have the work tried again: after the reason is mended. What fails again is set aside again."""
    async with connection.transaction():
        for piece in work:
            await connection.execute(_RETRY.format(schema=schema_of(piece.service)), piece.id)
        await write_down(connection, [(piece.service, _change(piece)) for piece in work])


def _change(piece: SetAside) -> Change:
    before = {"work": piece.work, "error": piece.error, "retry": piece.retry}
    return Change("aside retry", f"{piece.tick}:{piece.id}", before, {"retry": True})
