"""Every hub that a preview names is accepted: the documented pipeline of preview into instruct, over HTTP (R2-3)."""

import random
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from chfw_common.events.progressed import HubProgress, HubProgressed
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import format_instant
from chfw_common.kernel.rollout import HubState, Mode
from chfw_common.kernel.waves import Wave
from chfw_common.topology import HUB_PROGRESSED, RELEASE_NOTIFIED, ROLLOUT_DECISION
from chfw_instruction import service as intake
from chfw_instruction.settings import Settings as IntakeSettings
from chfw_notifier import service as notifier
from chfw_notifier.settings import Settings as NotifierSettings
from tests.service.notifier.estates import Estate, fill
from tests.service.notifier.test_telling import announce
from tests.support.databases import Databases
from tests.support.release import DAY, NOW, RELEASE, decision, notice
from tests.support.serving import Stand, bearer, serving
from tests.support.settings import nowhere

OTHER, ENDED = ReleaseId("CH-9-1"), ReleaseId("CH-9-0")
PLACES = {"elec": 40, "gas": 20}
CAP = 60
UNTIL = Wave("over", NOW - 20 * DAY, NOW + 25 * DAY, ("west",))
"""Its D is near: the cut-off has passed."""


class Pipe(NamedTuple):
    """The two services that a Supplier pipes into each other, on one database."""

    notifier: Stand
    intake: Stand


@pytest.fixture
async def pipe(databases: Databases) -> AsyncIterator[Pipe]:
    """Both, and three releases: this one, another that goes on, and one that is stopped."""
    dsn = databases.clone("chfw", databases.install)
    common = nowhere(dsn)
    async with (
        serving(notifier.build(NotifierSettings(**common)), dsn) as first,
        serving(intake.build(IntakeSettings(**common)), dsn) as second,
    ):
        for number, release_id in enumerate((ENDED, OTHER, RELEASE)):
            await announce(first, key=f"k{number}", release_id=release_id, pilot_cap=CAP)
            await second.consume(
                RELEASE_NOTIFIED, notice(release_id=release_id, pilot_places=PLACES, cpl={"gbcs_versions": ("4.1",)})
            )
        async with first.database.transaction() as tx:
            # The inventory is empty yet, so the notice shares nothing out.
            await tx.execute(
                "update notifier.release set notice = notice || jsonb_build_object('pilot_places', $1::jsonb)", PLACES
            )
        for stand in (first, second):
            await stand.consume(ROLLOUT_DECISION, decision(1, Mode.STOP).model_copy(update={"release_id": ENDED}))
            await stand.decide(1, Mode.HELD, waves=(UNTIL,))
        yield Pipe(first, second)
    databases.drop(dsn)


STATES = [*HubState, *[HubState.ELIGIBLE] * 30, *[HubState.SCHEDULED, HubState.AWAITING_CONSENT] * 3]


async def draw(pipe: Pipe, seed: int) -> None:
    """400 hubs of every kind: two Parties in every pair of roles, in every state of this release and of the others."""
    chance = random.Random(seed)
    hubs = []
    for number in range(400):
        one, other = chance.choice([("elec", "gas"), ("gas", "elec"), ("elec", "elec"), ("gas", "gas"), ("elec", None)])
        region = chance.choice(["north", "north", "south", "west"])
        state = chance.choice(STATES)
        firmware = "9.2" if state is HubState.CONFIRMED else "9.1"
        hubs.append(Estate(number, one, other, state.value, region=region, firmware=firmware))
    await fill(pipe.notifier, *hubs)
    await tell(pipe.intake, RELEASE, {HubId(hub.hub): HubState(hub.state or "") for hub in hubs})
    for release_id in (OTHER, ENDED):
        some = chance.sample(hubs, 80)
        states = {HubId(hub.hub): chance.choice(list(HubState)) for hub in some}
        rows = [
            Estate(hub.hub, hub.imports, hub.gas, states[HubId(hub.hub)].value, release_id=release_id) for hub in some
        ]
        await fill(pipe.notifier, *rows, ledger_only=True)
        await tell(pipe.intake, release_id, states)
    async with pipe.notifier.database.transaction() as tx:
        await tx.execute("update smi.hub set status = 'Suspended' where hub % 11 = 0")
        await tx.execute("update smi.hub set status = 'Recovery' where hub % 13 = 0")
        await tx.execute("update smi.hub set gas_user = 'a third user' where hub % 17 = 0 and gas_party is not null")


async def tell(stand: Stand, release_id: ReleaseId, states: dict[HubId, HubState]) -> None:
    items = tuple(HubProgress(hubs={hub: 1}, state=state, answers={}) for hub, state in states.items())
    await stand.consume(HUB_PROGRESSED, HubProgressed(release_id=release_id, firmware="9.2", items=items))


async def piped(pipe: Pipe, party: str, role: str, key: str, **rules: Any) -> list[str]:
    """Preview, then instruct what it names: the verdicts."""
    headers = {**bearer(party, role=role), "Idempotency-Key": f'"{key}"'}
    url = f"/v1/releases/{RELEASE}"
    chosen = (await pipe.notifier.client.post(f"{url}/pilot:preview", json=rules, headers=headers)).json()
    if not chosen["hubs"]:
        return []
    at = format_instant(NOW + 20 * DAY)
    body = {"kind": "instruct", "group": "pilot", "activate_at": at, "hubs": chosen["hubs"]}
    answer = await pipe.intake.client.post(f"{url}/instructions", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    await pipe.intake.work()
    found = await pipe.intake.client.get(f"{answer.headers['location']}/results?limit=10000", headers=headers)
    return [row["verdict"] for row in found.json()["results"]]


RULES: list[dict[str, Any]] = [
    {"size": 9},
    {"share": 0.1},
    {"size": 9, "stratified": False},
    {"regions": ["south"], "size": 5},
]


@pytest.mark.parametrize("seed", range(6))
async def test_every_hub_of_a_preview_is_accepted(pipe: Pipe, seed: int) -> None:
    await draw(pipe, seed)
    chance = random.Random(f"rules {seed}")
    verdicts: list[str] = []
    for number in range(8):
        party, role = chance.choice([("elec", "IS"), ("elec", "GS"), ("gas", "IS"), ("gas", "GS")])
        rules: dict[str, Any] = chance.choice(RULES)
        verdicts += await piped(pipe, party, role, f"a{number}", seed=str(number), **rules)
    verdicts += await piped(pipe, "elec", "IS", "all", size=1_000)
    verdicts += await piped(pipe, "gas", "GS", "more", size=1_000)
    assert set(verdicts) == {"accepted"}
    assert len(verdicts) == CAP, "and together they fill the pilot"


async def test_the_preview_is_that_of_the_user_id(pipe: Pipe) -> None:
    """Hub 1 is the Party's as Import, hub 2 as Gas Supplier: each role is offered its own."""
    await fill(pipe.notifier, Estate(1, "elec", "gas"), Estate(2, "gas", "elec"))
    for role in ("IS", "GS"):
        assert await piped(pipe, "elec", role, role) == ["accepted"]
