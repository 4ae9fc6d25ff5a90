"""What a Supplier reads says nothing of the other but that it exists and has instructed (R3-4, B-2).

Everything is read twice: once beside one second Supplier, once beside another that joined at another time, under
another User ID, and instructed with another number at another instant. Every byte must be the same.
"""

from typing import Any

import pytest

from chfw_common.kernel.instants import parse_instant
from tests.service.notifier.estates import Estate, fill
from tests.service.notifier.test_telling import announce
from tests.support.release import RELEASE
from tests.support.serving import Stand, bearer

OWN, OTHER, THIRD = "elec", "hidden-7319", "veiled-4406"
HUBS = (
    Estate(-9, imports=OWN, gas=OTHER, instructed=(OTHER,), state="awaiting_consent"),
    Estate(1, imports=OWN, gas=OTHER, instructed=(OWN, OTHER), state="scheduled", pilot=True),
    Estate(2, imports=OTHER, gas=OWN, instructed=(OWN,), state="awaiting_consent"),
    Estate(3, imports=OWN, gas=OTHER),
    Estate(4, imports=OWN, gas=None),
    Estate(5, imports=OTHER, gas=OTHER, instructed=(OTHER,)),
    Estate(6, imports=OWN, gas=OTHER, state=None),
)
FORMS = ("application/json", "application/x-ndjson", "text/csv")
ELIGIBILITY = f"/v1/releases/{RELEASE}/eligibility"


async def everything(stand: Stand) -> list[str]:
    """What the Supplier gets from every route that says something of hubs, with the headers."""
    asks: list[tuple[str, str, dict[str, str], Any]] = [
        ("GET", f"{url}{query}", {"Accept": form}, None)
        for url in ("/v1/estate", ELIGIBILITY)
        for form in FORMS
        for query in ("", "?limit=1", "?limit=2&after=MQ", "?after=nonsense")
    ]
    asks += [("GET", "/v1/releases/none/eligibility", {"Accept": form}, None) for form in FORMS]
    for rules in ({}, {"size": 2, "seed": "s"}, {"share": 0.5, "stratified": False}, {"size": -1}):
        asks.append(("POST", f"/v1/releases/{RELEASE}/pilot:preview", {}, rules))
    asks.append(("PATCH", f"/v1/releases/{RELEASE}", {"Idempotency-Key": '"k"'}, {"note_reference": "RN"}))
    asks += [("GET", "/v1/events", {}, None), ("GET", f"/v1/releases/{RELEASE}", {}, None)]
    read = []
    for method, url, headers, body in asks:
        answer = await stand.client.request(method, url, headers={**bearer(OWN), **headers}, json=body)
        read.append(f"{method} {url} {answer.status_code} {sorted(answer.headers.items())} {answer.text}")
    return read


async def change_the_other(stand: Stand) -> None:
    since, said = parse_instant("2019-07-07T07:07:07Z"), "2026-10-03T03:03:03Z"
    async with stand.database.transaction() as tx:
        for table in ("smi.hub", "scheduler.ledger"):
            for role in ("import", "gas"):
                await tx.execute(
                    f"""update {table} set {role}_party = $2, {role}_user = 'veiled-user', {role}_since = $3
                        where {role}_party = $1""",
                    OTHER, THIRD, since,
                )  # fmt: skip
        await tx.execute(
            """update scheduler.ledger set version = version + 5, answers = (
                   select json_agg(case when a->>0 = $1 then
                       json_build_array($2::text, 77, 'agree', 'pilot', $3::text, $3::text) else a end order by n)
                   from json_array_elements(answers) with ordinality x(a, n))
               where answers::text <> '[]'""",
            OTHER, THIRD, said,
        )  # fmt: skip


async def test_who_the_other_is_changes_not_a_byte(stand: Stand) -> None:
    await announce(stand)
    await stand.client.get("/v1/events", headers=bearer(OWN))
    await fill(stand, *HUBS)
    before = await everything(stand)
    assert any('"second_has_instructed":true' in text for text in before)
    for secret in ("hidden", "7319", "2024-01-01"):
        assert not [text for text in before if secret in text]
    await change_the_other(stand)
    after = await everything(stand)
    assert after == before
    assert not [text for text in after if "veiled" in text or "2019" in text]


@pytest.mark.parametrize("url", ["/v1/estate", ELIGIBILITY])
async def test_hubs_of_others_move_no_cursor(stand: Stand, url: str) -> None:
    """A page, its size and its cursor are the same whether others have a thousand hubs between, or none."""
    await announce(stand)
    await fill(stand, *(Estate(n, imports=OWN, gas=None) for n in range(0, 3_000, 300)))
    queries = ("?limit=3", "?limit=3&after=NjAw")
    alone = [(await stand.client.get(url + query, headers=bearer(OWN))).text for query in queries]
    await fill(stand, *(Estate(n, imports=OTHER, gas=None) for n in range(1, 3_000, 3)))
    assert [(await stand.client.get(url + query, headers=bearer(OWN))).text for query in queries] == alone
