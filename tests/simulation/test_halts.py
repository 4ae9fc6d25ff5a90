"""Stop and pause on the whole system: what the DCC halts does not act, and what goes on later misses nothing (R5-3).

The two large Suppliers have agreed on day 25 for most hubs, so half a day before it these are armed.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from chfw_cli.demo.client import Client
from chfw_cli.demo.estate import SUPPLIERS, draw_estate
from chfw_cli.demo.simulate import SimulatedTimeline, stage
from chfw_cli.demo.story import DAY, RELEASE_ID, DecisionStep, Story, write_story
from chfw_cli.demo.tell import seed, tell
from chfw_cli.demo.verify import Verdict, verify
from chfw_cli.demo.views import Views, look
from chfw_cli.local.state import StateDir
from chfw_common.kernel.ids import PartyId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import Role
from tests.support.servers import temporary_state

HUBS, SEED = 300, 3
HALTED, RESUMED = 24 * DAY + timedelta(hours=12), 35 * DAY
STOP = DecisionStep("stop", HALTED, "stop", "Hubs restart again and again.", "SEC Panel")
PAUSE = DecisionStep("pause", HALTED, "pause", "Hubs restart again and again.")
RESUME = DecisionStep("resume", RESUMED, "run", "It was the weather.", "SEC Panel")


@dataclass(frozen=True, slots=True)
class Played:
    """What is left of a story long after its end."""

    story: Story
    views: Views
    ledger: list[Any]
    decisions: list[dict[str, Any]]
    modes_told: dict[str, list[str]]
    progress_told: list[dict[str, Any]]
    """What rollout.progressed said to one Supplier, in order."""
    verdict: Verdict

    def at_risk_told(self, epoch: int) -> list[int]:
        """The counts at risk that were told of a halt and afterwards, in order."""
        return [told["at_risk"] for told in self.progress_told if told["epoch"] == epoch]

    def activated(self, since: timedelta, before: timedelta = 1_000 * DAY) -> list[Instant]:
        """When hubs activated in a span of the story."""
        begins = self.story.begins
        times = (device.activated_at for device in self.views.devices.values())
        return [at for at in times if at is not None and begins + since <= at < begins + before]


class Withdrawing(SimulatedTimeline):
    """The same time; at an instant of it the CPL entry of the release is withdrawn."""

    def __init__(self, timeline: SimulatedTimeline, client: Client, at: Instant) -> None:
        vars(self).update(vars(timeline))
        self._client = client
        self._at: Instant | None = at

    async def until(self, instant: Instant) -> None:
        """Go there, by way of the withdrawal."""
        at = self._at
        if at is not None and at <= instant:
            self._at = None
            await super().until(at)
            path = f"/v1/releases/{RELEASE_ID}"
            await self._client.patch("notifier", path, {"cpl_state": "Withdrawn"}, key="withdrawn")
        await super().until(instant)


async def _play(place: StateDir, *decisions: DecisionStep, withdrawn: timedelta | None = None) -> Played:
    plain = write_story(draw_estate(SEED, HUBS))
    story = replace(plain, decisions=(*plain.decisions, *decisions))
    async with stage(place, story) as simulated:
        client = simulated.client
        await seed(client, story)
        timeline = simulated.timeline
        if withdrawn is not None:
            timeline = Withdrawing(timeline, client, story.begins + withdrawn)
        told = await tell(client, story, timeline, lambda _: None)
        feeds: dict[str, list[dict[str, Any]]] = {name: [] for name in SUPPLIERS}
        for name, heard in feeds.items():
            async for page in client.pages(
                "notifier", "/v1/events", "events", party=PartyId(name), role=Role.IMPORT_SUPPLIER
            ):
                heard += page
        modes = {name: _data(heard, "rollout_decision", "mode") for name, heard in feeds.items()}
        progress = [event["data"] for event in feeds[SUPPLIERS[0]] if event["kind"] == "rollout_progressed"]
        listing = await client.get("governance", f"/v1/releases/{RELEASE_ID}/decisions")
        admin = await asyncpg.connect(simulated.dsn)
        try:
            ledger = await admin.fetch("select * from scheduler.ledger")
            views, verdict = await look(client, admin), await verify(client, admin, story, told)
        finally:
            await admin.close()
    return Played(story, views, ledger, listing["decisions"], modes, progress, verdict)


def _data(heard: list[dict[str, Any]], kind: str, field: str) -> list[Any]:
    return [event["data"][field] for event in heard if event["kind"] == kind]


@pytest.fixture(scope="module")
def place() -> Iterator[StateDir]:
    """Where the simulation has a Postgres of its own."""
    yield from temporary_state()


@pytest.fixture(scope="module")
def stopped(place: StateDir) -> Played:
    """A release that was stopped while many hubs were armed."""
    return asyncio.run(_play(place, STOP))


@pytest.fixture(scope="module")
def unlisted(place: StateDir) -> Played:
    """A release whose CPL entry was withdrawn while many hubs were armed."""
    return asyncio.run(_play(place, withdrawn=HALTED))


@pytest.fixture(scope="module")
def paused(place: StateDir) -> Played:
    """A release that was paused while many hubs were armed, and went on ten days later."""
    return asyncio.run(_play(place, PAUSE, RESUME))


def test_no_hub_acts_after_a_stop(stopped: Played) -> None:
    """Armed hubs are called back, and neither the automatic date nor any other makes one go (I7, I11)."""
    assert len(stopped.activated(timedelta(0), HALTED)) > HUBS / 4
    assert stopped.activated(HALTED) == []
    states = Counter(row["state"] for row in stopped.ledger)
    assert states["cancelled"] == stopped.at_risk_told(stopped.decisions[-1]["epoch"])[0] > HUBS / 4
    assert not states.keys() & {"distributing", "arming", "armed", "cancelling", "activated", "silent"}
    assert sum(states.values()) == stopped.verdict.enrolled


def test_the_count_at_risk_is_told_until_it_is_0(stopped: Played, paused: Played) -> None:
    """In the feeds and in the list of decisions, whether the release has ended or goes on."""
    for played, halt in ((stopped, stopped.decisions[-1]), (paused, paused.decisions[-2])):
        told = played.at_risk_told(halt["epoch"])
        assert 0 in told
        assert set(told[told.index(0) :]) == {0}
        assert halt["at_risk"] == 0


def test_totals_are_told_on_the_way_and_at_the_end(paused: Played) -> None:
    """They sum to the enrolled hubs as soon as all are enrolled."""
    milestones = Counter(told["milestone"] for told in paused.progress_told)
    assert milestones["totals"] > 10
    last = paused.progress_told[-1]["totals"]
    assert last == Counter(row["state"] for row in paused.ledger)
    assert sum(last.values()) == paused.verdict.enrolled


def test_nothing_is_handed_over_or_armed_after_a_stop(stopped: Played) -> None:
    at = stopped.story.begins + HALTED
    for claimed in ("dist_at", "arm_at"):
        assert max(row[claimed] for row in stopped.ledger if row[claimed] is not None) <= at, claimed
    assert stopped.decisions[-1]["state"] == "effective"
    assert stopped.verdict.anomalies == stopped.verdict.parked == 0
    assert stopped.verdict.evidence_findings == stopped.verdict.verdict_mismatches == ()


def test_no_hub_acts_after_its_cpl_entry_was_withdrawn(unlisted: Played) -> None:
    """A halt like any other: decided, fenced, every armed hub called back, everybody told (R1, I7, I11)."""
    assert len(unlisted.activated(timedelta(0), HALTED)) > HUBS / 4
    assert unlisted.activated(HALTED) == []
    last = unlisted.decisions[-1]
    assert (last["mode"], last["min_epoch"], last["state"]) == ("held", last["epoch"], "effective")
    assert unlisted.at_risk_told(last["epoch"])[0] > HUBS / 4
    assert last["at_risk"] == 0
    states = Counter(row["state"] for row in unlisted.ledger)
    assert not states.keys() & {"distributing", "arming", "armed", "cancelling", "activated", "silent"}
    assert set(map(tuple, unlisted.modes_told.values())) == {("pilot", "run", "held")}
    assert unlisted.verdict.anomalies == unlisted.verdict.parked == 0


def test_every_supplier_is_told_of_the_stop(stopped: Played) -> None:
    assert set(map(tuple, stopped.modes_told.values())) == {("pilot", "run", "stop")}


def test_no_hub_acts_during_a_pause_and_all_go_on_after_it(paused: Played) -> None:
    """Those whose time has passed meanwhile go late, never early, and every view agrees with the oracle."""
    assert paused.at_risk_told(paused.decisions[-2]["epoch"])[0] > HUBS / 4
    assert paused.activated(HALTED, RESUMED) == []
    assert len(paused.activated(RESUMED)) > HUBS / 4
    assert paused.verdict.ok, paused.verdict.reconciliation.mismatches
    assert set(map(tuple, paused.modes_told.values())) == {("pilot", "run", "pause", "run")}
