"""A service behind its routes, on the transaction of a test, with callers of each kind and time that stands."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx2

from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import Role
from chfw_common.runtime.database import Database
from chfw_common.runtime.http.app import create_app
from chfw_common.runtime.http.callers import Caller, TokenVerifier
from chfw_common.runtime.http.commands import Commands
from chfw_common.runtime.http.quotas import Admission, RequestQuota
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import Wake
from chfw_common.runtime.service import Service, Tx

PLENTY = RequestQuota(per_minute=1_000_000_000, burst=1_000_000_000, at_once=1_000_000)
"""A quota that no test meets unless it is about quotas; it is kept in Postgres like any other."""
T0 = datetime(2026, 3, 1, tzinfo=UTC)
CALLERS = {
    "dcc": Caller(PartyId("dcc"), UserId("D-1"), Role.DCC),
    "alpha": Caller(PartyId("alpha"), UserId("U-1"), Role.IMPORT_SUPPLIER),
    "gamma": Caller(PartyId("gamma"), UserId("U-3"), Role.GAS_SUPPLIER),
    "csp": Caller(PartyId("csp"), UserId("C-1"), Role.CSP),
}


class OneTransaction(Database):
    """Every command in a savepoint of the test's transaction."""

    def __init__(self, tx: Tx, service: str) -> None:
        super().__init__(None, service)
        self._tx = tx

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        async with self._tx.transaction():
            yield self._tx
            # A transaction of its own would forget for whom it acted.
            await self._tx.execute("set local role none")

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[Tx]:
        yield self._tx


class ByName(TokenVerifier):
    """A token is a name."""

    def __init__(self) -> None:
        """Needs no keys."""

    async def verify(self, token: str) -> Caller:
        return CALLERS[token]


class Still:
    """A clock that stands."""

    def now(self) -> Instant:
        return T0

    async def machine_sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


@contextlib.asynccontextmanager
async def client_of(service: Service, tx: Tx) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the service's routes."""
    database, metrics = OneTransaction(tx, service.name), Metrics(service.name, service.consumes)
    run = Commands(database, Still(), Wake())

    async def ready() -> str | None:
        return None

    admission = Admission(database, PLENTY)
    app = create_app(service, run, ByName(), metrics, ready, admission=admission)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=f"http://{service.name}") as found:
        yield found


def as_(name: str) -> dict[str, str]:
    """The headers of a caller."""
    return {"Authorization": f"Bearer {name}"}
