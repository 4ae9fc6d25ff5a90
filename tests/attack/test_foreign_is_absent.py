"""What belongs to another Party is looked up as what does not exist: the same statements, and none of them finds it.

So neither the answer nor the time it takes tells the two apart.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from chfw_common.kernel.ids import hub_eui64
from chfw_common.kernel.roles import Role
from tests.support.databases import Databases
from tests.support.extremes import HUBS
from tests.support.stack import INSTRUCT, PLAIN, Stack, Who, announce, done, estate, whole_stack

STRANGER = Who("third", "third-is", Role.IMPORT_SUPPLIER)
OWN, NOBODYS = hub_eui64(HUBS[0]), "12-34-56-78-9A-BC-DE-F0"


class Noted(list[tuple[str, str, bool]]):
    """The statements that were sent, and whether each found anything."""


@pytest.fixture
async def stack(databases: Databases, tmp_path: Path) -> AsyncIterator[Stack]:
    """The services, with an estate and a release."""
    async with whole_stack(databases, tmp_path) as ready:
        await estate(ready, PLAIN)
        await announce(ready, PLAIN)
        yield ready


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Noted:
    """Every statement from now on."""
    found = Noted()
    for name in ("fetch", "fetchrow", "fetchval"):
        send = getattr(asyncpg.Connection, name)

        async def sent(self: Any, query: str, *rest: Any, _name: str = name, _send: Any = send, **more: Any) -> Any:
            answer = await _send(self, query, *rest, **more)
            found.append((_name, query, bool(answer)))
            return answer

        monkeypatch.setattr(asyncpg.Connection, name, sent)
    return found


@pytest.mark.parametrize("place", ["hub", "user id of the same Party", "request", "verdicts"])
async def test_nothing_is_found_of_what_is_anothers(stack: Stack, noted: Noted, place: str) -> None:
    elec, _ = PLAIN.suppliers
    said = await done(stack, "instruction", "POST", INSTRUCT, who=elec, json={"kind": "instruct", "hubs": [OWN]})
    service, who, foreign, absent = {
        "hub": ("smi", STRANGER, f"/v1/hubs/{OWN}", f"/v1/hubs/{NOBODYS}"),
        "user id of the same Party": (
            "smi", Who(elec.party, "another", elec.role), f"/v1/hubs/{OWN}", f"/v1/hubs/{NOBODYS}",
        ),
        "request": (
            "instruction", STRANGER, f"/v1/instructions/{said['request_id']}",
            "/v1/instructions/00000000-0000-0000-0000-000000000000",
        ),
        "verdicts": (
            "instruction", STRANGER, f"/v1/instructions/{said['request_id']}/results",
            "/v1/instructions/00000000-0000-0000-0000-000000000000/results",
        ),
    }[place]  # fmt: skip
    told = []
    for path in (foreign, absent):
        noted.clear()
        answer = await stack.call(service, "GET", path, who)
        told.append((answer.status_code, answer.content, dict(answer.headers), [*noted]))
    assert told[0] == told[1]
    assert (told[0][0], any(found for _, _, found in told[0][3])) == (404, False)
