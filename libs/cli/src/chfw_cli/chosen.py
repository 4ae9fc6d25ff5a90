"""Which rows of which services a person means: `scheduler:12` names one row of one service."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chfw_common.topology import SERVICES, schema_of


class ChoiceError(Exception):
    """What was written names no row."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The rows that fit every condition given. `ids`: pairs of service and number; none given are all."""

    service: str | None = None
    ids: tuple[tuple[str, int], ...] = ()
    error: str | None = None

    @property
    def services(self) -> tuple[str, ...]:
        """The services to look in."""
        wanted = SERVICES if self.service is None else (self.service,)
        return tuple(one for one in wanted if not self.ids or self.numbers(one))

    @property
    def names_rows(self) -> bool:
        """Whether it says which rows, not only whose."""
        return bool(self.ids) or self.error is not None

    def numbers(self, service: str) -> list[int]:
        """The numbers named of a service."""
        return [number for name, number in self.ids if name == service]


FITS = "(cardinality($1::bigint[]) = 0 or id = any($1)) and ($2::text is null or strpos(error, $2) > 0)"
"""The condition of a statement that looks for the rows chosen in one service."""


async def rows_chosen(connection: Any, choice: Choice, statement: str) -> list[tuple[str, Any]]:
    """(service, row) for the rows chosen, service by service. `statement` names its table with `{schema}`."""
    found: list[tuple[str, Any]] = []
    for service in choice.services:
        rows = await connection.fetch(
            statement.format(schema=schema_of(service)), choice.numbers(service), choice.error
        )
        found += [(service, row) for row in rows]
    return found


def choose(service: str | None, ids: Sequence[str] | None, error: str | None) -> Choice:
    """The choice that the options of a command state. Raises ChoiceError."""
    if service is not None and service not in SERVICES:
        raise ChoiceError(f"no service is called {service}; there are {', '.join(SERVICES)}")
    return Choice(service, tuple(_row(text, service) for text in ids or ()), error)


def _row(text: str, service: str | None) -> tuple[str, int]:
    name, colon, number = text.rpartition(":")
    if not colon and service is None:
        raise ChoiceError(f"{text}: each service counts for itself, so write SERVICE:NUMBER, as list shows it")
    name = name or service or ""
    if name not in SERVICES or (service is not None and name != service) or not number.isdecimal():
        raise ChoiceError(f"{text}: write SERVICE:NUMBER, as list shows it")
    return name, int(number)
