"""A COMMIT that is cut off: the effect is there and nobody here knows. The answer says so, and a repeat is safe."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.roles import Role
from chfw_common.runtime.database import open_database
from chfw_common.runtime.http.problems import UNKNOWN_OUTCOME
from tests.service.documents.stand import Published, document
from tests.service.documents.uses import USES
from tests.support.databases import Databases

EFFECTS = [
    (service, route)
    for service, uses in USES.items()
    for route in uses
    if not route.startswith("GET") and not route.endswith(":preview")
]
CHANGED: dict[str, dict[str, Any]] = {
    "POST /v1/releases": {"release_id": "ch-lost-1"},
    "PATCH /v1/releases/{release_id}": {"note_reference": "RN-lost"},
    "POST /v1/releases/{release_id}/instructions": {"kind": "decline", "activate_at": None},
    "POST /v1/releases/{release_id}/decisions": {"mode": "pause", "expected_epoch": 1},
    "POST /v1/devices:load": {},
    "POST /v1/hubs:load": {},
    "POST /v1/hubs:change-supplier": {},
}
"""What makes the plain use a new request, which has an effect."""


class Cutting:
    """A way to Postgres that can cut a connection once a COMMIT has been carried out, before anybody is told so."""

    def __init__(self, dsn: str) -> None:
        self._server = urlsplit(dsn)
        self.cut_next = False
        self.cuts = 0

    @contextlib.asynccontextmanager
    async def dsn(self) -> AsyncIterator[str]:
        """The address of the way. Those who used it have closed their connections at the end."""
        carrying: list[asyncio.Task[None]] = []

        def carry(client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
            carrying.append(asyncio.create_task(self._carry(client, answers)))

        async with await asyncio.start_server(carry, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            user = self._server.netloc.rpartition("@")[0]
            yield self._server._replace(netloc=f"{user}@127.0.0.1:{port}").geturl()
            await asyncio.gather(*carrying)

    async def _carry(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        server, asks = await asyncio.open_connection(self._server.hostname, self._server.port)
        silent = False

        async def ask() -> None:
            nonlocal silent
            while data := await client.read(1 << 16):
                if self.cut_next and b"COMMIT;" in data:
                    self.cut_next, silent = False, True
                asks.write(data)
            asks.close()

        async def answer() -> None:
            while data := await server.read(1 << 16):
                if silent:
                    self.cuts += 1
                    break
                answers.write(data)
            answers.close()

        with contextlib.suppress(ConnectionError):
            await asyncio.gather(ask(), answer())
        for writer in (asks, answers):
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def _send(published: Published, route: str, changes: dict[str, Any], key: str = "lost") -> Any:
    body = json.loads(json.dumps(USES[published.name][route].body)) | changes
    if route.endswith("hubs:load"):
        body["hubs"][0]["firmware"] = "9.1-lost"
    if route.endswith("devices:load"):
        body["devices"][0]["hub"] = "00-00-00-00-00-00-0A-BC"
    if route.endswith("change-supplier"):
        body["changes"][0] |= {"party": "lost", "user_id": "lost-gs"}
    method, _, path = route.partition(" ")
    token = published.token(USES[published.name][route].role)
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f'"{key}"'}
    return await published.stand.client.request(method, path.format_map(published.known), json=body, headers=headers)


async def _outgoing(published: Published) -> int:
    ((count,),) = await published.stand.fetch("select count(*) from outbox")
    return int(count)


@pytest.mark.parametrize(("service", "route"), EFFECTS)
async def test_an_answer_that_is_lost_at_commit_says_so_and_a_repeat_takes_no_second_effect(
    published: Published, databases: Databases, service: str, route: str
) -> None:
    database = published.stand.database
    pool = database.pool
    way = Cutting(published.stand.dsn)
    before = await _outgoing(published)
    async with way.dsn() as dsn:
        # The file of passwords that the address names knows the server's own port alone.
        through = await open_database(dsn, service, password_file=databases.server.server.password_file("postgres"))
        database.pool = through.pool
        way.cut_next = True
        lost = await _send(published, route, CHANGED[route])
        database.pool = pool
        await through.close()
    assert way.cuts == 1
    assert (lost.status_code, lost.json()["code"]) == (503, "try_again")
    assert UNKNOWN_OUTCOME in lost.json()["detail"]
    done = await _outgoing(published)
    # Devices are not told of; an instruction is told once it has verdicts.
    assert done > before or route.endswith(("devices:load", "instructions"))
    again = await _send(published, route, CHANGED[route])
    assert again.is_success, again.text
    if route.endswith("devices:load"):
        assert again.json() == {"new": 0, "known": 1}
    else:
        assert again.headers["idempotent-replayed"] == "true"
    assert await _outgoing(published) == done


@pytest.mark.parametrize("service", ["smi"])
async def test_a_load_or_change_that_is_repeated_after_another_does_not_set_it_back(
    published: Published, service: str
) -> None:
    assert service
    load, change = "POST /v1/hubs:load", "POST /v1/hubs:change-supplier"
    for route, field, values in ((load, "firmware", ("9.3", "9.4")), (change, "party", ("party-a", "party-b"))):
        kind = "hubs" if route == load else "changes"
        for key, value in zip("aba", (*values, values[0]), strict=True):
            body = json.loads(json.dumps(USES["smi"][route].body))
            body[kind][0][field] = value
            answer = await published.call(route, json.dumps(body).encode(), {"Idempotency-Key": f'"{route} {key}"'})
            assert answer.is_success
        shown = await published.call("GET /v1/hubs/{eui64}", b"", _as_dcc(published))
        assert values[1] in shown.text
        assert values[0] not in shown.text
    body["changes"][0]["party"] = "three"
    other = await published.call(change, json.dumps(body).encode(), {"Idempotency-Key": f'"{change} a"'})
    assert (other.status_code, other.json()["code"]) == (422, "reused_key")


def _as_dcc(published: Published) -> dict[str, str]:
    return {"Authorization": f"Bearer {published.issuer.token(PartyId('dcc'), UserId('d'), Role.DCC)}"}


@pytest.mark.parametrize("service", sorted(USES))
def test_the_document_says_that_the_outcome_is_unknown(service: str) -> None:
    for methods in document(service)["paths"].values():
        for operation in methods.values():
            assert UNKNOWN_OUTCOME in operation["responses"]["503"]["description"]
