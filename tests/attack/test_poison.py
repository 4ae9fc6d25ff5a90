"""What a route accepts goes through every later stage of every service, however extreme it is.

Each story loads an estate, announces a release and lets it run to its end. In between come values at the edges of the
documents of the routes, from Suppliers and from the DCC. Afterwards no service has parked, set
aside or failed at anything.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from chfw_common.kernel.hubs import DeviceStatus
from chfw_common.kernel.instants import format_instant
from chfw_common.kernel.roles import Role
from chfw_device_sim.settings import Settings as Fleet
from tests.service.documents.stand import document
from tests.support.databases import Databases
from tests.support.extremes import ENTRIES, Extremes, words
from tests.support.fuzzing import inputs
from tests.support.release import DAY, NOW, RELEASE, SINCE, D
from tests.support.stack import EUIS, INSTRUCT, PLAIN, Cast, Stack, Who, announce, done, estate, whole_stack

STORIES, LONG_STORIES = 6, 100
REGIONS = Fleet.model_fields["edges"].default
FORMS = ("application/json", "application/x-ndjson", "text/csv")


@pytest.fixture(scope="module")
def sent() -> Iterator[Counter[str]]:
    """How many stories were told, and what was answered in them; printed at the end (`-s`)."""
    counted: Counter[str] = Counter()
    yield counted
    print("\n" + ", ".join(f"{n} {what}" for what, n in sorted(counted.items())))  # noqa: T201


@pytest.fixture
async def stack(databases: Databases, tmp_path: Path) -> AsyncIterator[Stack]:
    """The services, with nothing told yet."""
    async with whole_stack(databases, tmp_path) as ready:
        yield ready


async def to_the_end(stack: Stack) -> None:
    """The DCC lets the release go, and time passes until every hub has had its turn."""
    for mode, more in (("pilot", {}), ("run", {"without_pilot": "None was named."})):
        standing = (await stack.call("governance", "GET", f"/v1/releases/{RELEASE}/decisions")).json()["decisions"]
        if not standing or standing[-1]["mode"] not in ("run", mode, "stop", "revoked"):
            body = {"mode": mode, "reason": "So it goes on.", "confirmed_by": "the Panel", **more}
            await stack.call("governance", "POST", f"/v1/releases/{RELEASE}/decisions", json=body)
            await stack.settle()
    await stack.run(D - NOW + 60 * DAY)


async def look_everywhere(stack: Stack, cast: Cast, requests: list[tuple[Who, str]]) -> None:
    """Every view is readable in every form by who may read it, and every entry has its verdict."""
    assert await stack.troubles() == {}
    for who in cast.suppliers:
        for form in FORMS:
            for path in ("/v1/estate", f"/v1/releases/{RELEASE}/eligibility"):
                answer = await stack.call("notifier", "GET", path, who, headers={"Accept": form})
                assert answer.is_success, answer.text
        for service, path in (("notifier", "/v1/events?limit=1000"), ("notifier", "/v1/releases"),
                              *(("smi", f"/v1/hubs/{hub}") for hub in EUIS)):  # fmt: skip
            answer = await stack.call(service, "GET", path, who)
            assert answer.status_code in (200, 404), answer.text
    for service, path in (
        ("device-sim", "/v1/devices"),
        ("device-sim", "/v1/fleet/assumptions"),
        ("smi", f"/v1/hubs/{EUIS[0]}"),
        ("governance", f"/v1/releases/{RELEASE}/decisions"),
        ("notifier", "/v1/events"),
    ):
        assert (await stack.call(service, "GET", path)).is_success
    for who, request in requests:
        await every_entry_has_a_verdict(stack, who, request)


async def every_entry_has_a_verdict(stack: Stack, who: Who, request: str) -> None:
    """The request is judged, and its pages hold one verdict for each entry."""
    known = (await stack.call("instruction", "GET", f"/v1/instructions/{request}", who)).json()
    assert (known["state"], known["answered"]) == ("done", known["entries"])
    answer = await stack.call("instruction", "GET", f"/v1/instructions/{request}/results?limit=10000", who)
    page = answer.json()
    assert ([one["pos"] for one in page["results"]], page["next"]) == ([*range(known["entries"])], None)


class TestTheTwoThatStoppedEverybody:
    """The requests that stopped intake and the scheduler until somebody edited the database."""

    async def test_a_time_to_activate_at_the_end_of_time(self, stack: Stack) -> None:
        await estate(stack, PLAIN)
        await announce(stack, PLAIN)
        elec, gas = PLAIN.suppliers
        body = {"kind": "instruct", "activate_at": "9999-12-31T23:59:59.999999Z", "hubs": EUIS}
        answer = await stack.call("instruction", "POST", INSTRUCT, elec, json=body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/body/activate_at")
        query = "?kind=instruct&activate_at=9999-12-31T23:59:59.999999Z"
        listed = await stack.call(
            "instruction",
            "POST",
            INSTRUCT + query,
            elec,
            content="hub\n" + EUIS[0],
            headers={"Content-Type": "text/csv"},
        )
        assert (listed.status_code, listed.json()["errors"][0]["pointer"]) == (422, "/query/activate_at")
        # The last time that may be stated is judged like any other.
        last = await done(
            stack, "instruction", "POST", INSTRUCT, who=elec, json={**body, "activate_at": "2200-01-01T00:00:00Z"}
        )
        other = await done(stack, "instruction", "POST", INSTRUCT, who=gas, json={"kind": "instruct", "hubs": EUIS})
        await to_the_end(stack)
        await look_everywhere(stack, PLAIN, [(elec, last["request_id"]), (gas, other["request_id"])])
        assert set(await stack.fetch("select state from scheduler.ledger")) == {("confirmed",)}

    async def test_a_supplier_since_the_year_1(self, stack: Stack) -> None:
        record = {"hub": EUIS[0], "gbcs": "4.1", "region": "North", "firmware": "9.1", **PLAIN.make}
        for more in (
            {"responsible": [{"party": "elec", "user_id": "u", "role": "IS", "since": "0001-01-01T00:00:00Z"}]},
            {"status_since": "0001-01-01T00:00:00Z"},
        ):
            answer = await stack.call("smi", "POST", "/v1/hubs:load", json={"hubs": [{**record, **more}]})
            assert answer.status_code == 422
        change = {"hub": EUIS[0], "role": "GS", "party": "gas", "user_id": "u", "since": "0001-01-01T00:00:00Z"}
        assert (
            await stack.call("smi", "POST", "/v1/hubs:change-supplier", json={"changes": [change]})
        ).status_code == 422
        first = "1970-01-01T00:00:00Z"
        await estate(stack, PLAIN, responsible={"since": first}, record={"status_since": first})
        await announce(stack, PLAIN)
        elec, _ = PLAIN.suppliers
        said = await done(stack, "instruction", "POST", INSTRUCT, who=elec, json={"kind": "instruct", "hubs": EUIS})
        await to_the_end(stack)
        await look_everywhere(stack, PLAIN, [(elec, said["request_id"])])


@st.composite
def casts(draw: st.DrawFn) -> Cast:
    """Two Suppliers and a model with odd and long names."""
    names = draw(st.lists(words(60), min_size=2, max_size=2, unique=True))
    makes = {name: draw(words(60)) for name in ("manufacturer", "model", "hardware")}
    old, new = draw(st.lists(words(60), min_size=2, max_size=2, unique_by=str.upper))
    elec = Who(names[0], draw(words(60)), Role.IMPORT_SUPPLIER)
    return Cast((elec, Who(names[1], draw(words(60)), Role.GAS_SUPPLIER)), makes, old, new)


@dataclass
class Teller:
    """Tells a story step by step; every answer but a 5xx will do, and what was accepted is followed to its end."""

    stack: Stack
    cast: Cast
    data: st.DataObject
    requests: list[tuple[Who, str]]
    sent: Counter[str]

    def body(self, service: str, method: str, path: str, **anchors: Any) -> Any:
        """A body at the edges of the document, but for what ties it to the story, most of the time."""
        found = self.data.draw(
            Extremes(document(service), self.stack.simulation.clock.now()).body(document(service), method, path)
        )
        for name, value in anchors.items():
            if name in found and self.data.draw(st.sampled_from([True, True, False]), label=name):
                found[name] = value
        return found

    async def load(self) -> None:
        """Records and devices; each hub once."""
        record = {**self.cast.make, "firmware": self.cast.old}
        body = self.body("smi", "post", "/v1/hubs:load")
        for one in body["hubs"]:
            one.update(record if self.data.draw(st.booleans()) else {})
            # Of each hub the other device could be named once only.
            one.pop("gpf", None)
            for party in one.get("responsible", ()):
                party.update(party=self.cast.suppliers[0].party, user_id=self.cast.suppliers[0].user)
        await self.send("smi", "POST", "/v1/hubs:load", json=body)
        body = self.body("device-sim", "post", "/v1/devices:load")
        for one in body["devices"]:
            one["region"] = self.data.draw(st.sampled_from(REGIONS))
        await self.send("device-sim", "POST", "/v1/devices:load", json=body)

    async def change(self) -> None:
        """Changes of Supplier."""
        await self.send(
            "smi", "POST", "/v1/hubs:change-supplier", json=self.body("smi", "post", "/v1/hubs:change-supplier")
        )

    async def release(self) -> None:
        """Another release, or this one once more."""
        body = self.body("notifier", "post", "/v1/releases", cpl=self.cast.cpl, may_fit_no_hub=True)
        await self.send("notifier", "POST", "/v1/releases", json=body)

    async def revise(self) -> None:
        """The note; the CPL entry stays as it is, so that the story goes on."""
        path = "/v1/releases/{release_id}"
        body = self.body("notifier", "patch", path, cpl_state="Active")
        await self.send("notifier", "PATCH", path.format(release_id=RELEASE), json=body)

    async def decide(self) -> None:
        """A decision, mostly one that lets the release go on."""
        path = "/v1/releases/{release_id}/decisions"
        mode = self.data.draw(st.sampled_from(["held", "pilot", "run", "pause"]))
        body = self.body("governance", "post", path, mode=mode, expected_epoch=None, waves=None, automatic_date=None)
        await self.send("governance", "POST", path.format(release_id=RELEASE), json=body)

    async def preview(self) -> None:
        """A pilot chosen by rules."""
        path = "/v1/releases/{release_id}/pilot:preview"
        who = self.data.draw(st.sampled_from(self.cast.suppliers))
        await self.send(
            "notifier", "POST", path.format(release_id=RELEASE), who, json=self.body("notifier", "post", path)
        )

    async def instruct(self) -> None:
        """A list in one of its three forms, with hubs and with what is none."""
        path = "/v1/releases/{release_id}/instructions"
        who = self.data.draw(st.sampled_from(self.cast.suppliers))
        body = self.body("instruction", "post", path, activate_at=None)
        body["hubs"] += self.data.draw(st.lists(st.sampled_from([*EUIS, *ENTRIES]), max_size=6))
        how = self.data.draw(st.sampled_from(FORMS), label="form")
        sent = {"json": body} if how == FORMS[0] else listed(how, body)
        key = self.data.draw(
            st.sampled_from(['"k"', '"' + "k" * 200 + '"', '"\\"\\\\"']) | st.uuids().map(lambda u: f'"{u}"')
        )
        headers = {"Idempotency-Key": key, **sent.pop("headers", {})}
        await self.send("instruction", "POST", path.format(release_id=RELEASE), who, headers=headers, **sent)

    async def wait(self) -> None:
        """Time passes."""
        await self.stack.run(self.data.draw(st.sampled_from([timedelta(microseconds=1), DAY, 30 * DAY]), label="wait"))

    async def send(self, service: str, method: str, path: str, who: Who | None = None, **how: Any) -> None:
        """Send a request, and let happen what follows from it."""
        answer = await self.stack.call(service, method, path, *([] if who is None else [who]), **how)
        note(f"{method} {path.rpartition('/')[2].rpartition(':')[2]} {answer.status_code}")
        self.sent[f"answered {answer.status_code}"] += 1
        if answer.status_code == 202 and who is not None:
            self.requests.append((who, answer.json()["request_id"]))
        await self.stack.settle()


def listed(form: str, body: dict[str, Any]) -> dict[str, Any]:
    """The same request as a list, its terms in the query."""
    terms = {name: value for name, value in body.items() if name != "hubs" and value is not None}
    lines = {
        "text/csv": ["hub,note", *('"' + hub.replace('"', '""').replace("\0", "") + '",n' for hub in body["hubs"])],
        "application/x-ndjson": [json.dumps(hub) for hub in body["hubs"]],
    }[form]
    return {"params": terms, "content": "\n".join(lines).encode(), "headers": {"Content-Type": form}}


STEPS = ("load", "change", "release", "revise", "decide", "preview", "instruct", "instruct", "instruct", "wait")


@inputs(STORIES, LONG_STORIES)
@given(data=st.data())
async def test_whatever_is_accepted_goes_through_to_the_end(
    databases: Databases, tmp_path: Path, sent: Counter[str], data: st.DataObject
) -> None:
    async with AsyncExitStack() as opened:
        stack = await opened.enter_async_context(whole_stack(databases, tmp_path))
        cast = data.draw(casts())
        teller = Teller(stack, cast, data, [], sent)
        sent["stories"] += 1
        status = data.draw(st.sampled_from([DeviceStatus.COMMISSIONED, DeviceStatus.SUSPENDED]))
        since = data.draw(st.sampled_from(["1970-01-01T00:00:00Z", format_instant(SINCE), format_instant(NOW)]))
        await estate(stack, cast, responsible={"since": since}, record={"status": status, "status_since": since})
        more = data.draw(Extremes(document("notifier"), NOW).body(document("notifier"), "post", "/v1/releases"))
        fixed = {
            name: more[name]
            for name in ("note_reference", "priority", "lone_lead", "answer_min", "rule")
            if name in more
        }
        await announce(stack, cast, **fixed)
        for step in data.draw(st.lists(st.sampled_from(STEPS), min_size=4, max_size=8), label="steps"):
            await getattr(teller, step)()
        await to_the_end(stack)
        await look_everywhere(stack, cast, teller.requests)
