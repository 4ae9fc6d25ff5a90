"""Telling the story to the services, in its order, on whatever timeline: live or simulated."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from chfw_cli.demo.client import Client
from chfw_cli.demo.estate import MANUFACTURER, EstateHub, user_id
from chfw_cli.demo.intake import Timed, instruct, instruct_timed
from chfw_cli.demo.pacing import Effort, Timeline
from chfw_cli.demo.story import DAY, ENDS_BY, LONGEST, RELEASE_ID, WAVES, DecisionStep, Request, Story
from chfw_common.kernel.ids import hub_hex
from chfw_common.kernel.roles import Role

LOAD = 2_500
Say = Callable[[str], None]


async def seed(client: Client, story: Story) -> None:
    """Load the estate through the bulk commands of the inventory and of the simulated network."""
    since = (story.begins - timedelta(days=400)).isoformat()
    hubs = story.estate.hubs
    for number, start in enumerate(range(0, len(hubs), LOAD)):
        some = hubs[start : start + LOAD]
        records = [_record(hub, since) for hub in some]
        await client.post("smi", "/v1/hubs:load", {"hubs": records}, key=f"hubs-{number}")
        devices = [_device(hub) for hub in some]
        await client.post("device-sim", "/v1/devices:load", {"devices": devices}, key=f"devices-{number}")


@dataclass(slots=True)
class Told:
    """What was said in the course of the story: instruction ids by request, and how long the large requests took,
    and the effort before the last decision and at the end."""

    instructions: dict[str, str] = field(default_factory=dict)
    timed: Timed = field(default_factory=Timed)
    before: Effort = field(default_factory=Effort)
    after: Effort = field(default_factory=Effort)


async def tell(client: Client, story: Story, timeline: Timeline, say: Say) -> Told:
    """From the notice to the end: returns when every hub has come to an end, or should have long ago."""
    told = Told()
    await timeline.until(story.begins)
    await client.post("notifier", "/v1/releases", story.release_body(), key="notice")
    say("day   0  the DCC announces the release")
    for wave in WAVES:
        opens, date = ((at - story.begins).days for at in (wave.opens, wave.automatic_date))
        say(f"         its wave {wave.name}: opens on day {opens}, automatic date day {date}")
    steps: list[Request | DecisionStep] = [*story.requests, *story.decisions]
    by_time = sorted(steps, key=lambda step: (step.at, isinstance(step, DecisionStep)))
    for at, group in itertools.groupby(by_time, key=lambda step: step.at):
        await timeline.until(story.begins + at)
        await _take_all(client, list(group), timeline, told, say)
    await timeline.until(story.automatic_date)
    say(f"day {(story.automatic_date - story.begins).days:>3}  the automatic date")
    ends = story.begins + ENDS_BY
    await timeline.until(ends)
    while await timeline.open_hubs() and ends < story.begins + LONGEST:
        ends += DAY
        await timeline.until(ends)
    # What happened last is told at the end of its quarter of an hour, totals at the end of their day.
    await timeline.until(ends + DAY)
    told.after = await timeline.effort()
    return told


async def decide(client: Client, step: DecisionStep) -> None:
    """The DCC decides."""
    body = {
        "mode": step.mode,
        "reason": step.reason,
        "confirmed_by": step.confirmed_by,
        "without_pilot": step.without_pilot,
    }
    await client.post("governance", f"/v1/releases/{RELEASE_ID}/decisions", body, key=step.key)


async def _take_all(
    client: Client, steps: Sequence[Request | DecisionStep], timeline: Timeline, told: Told, say: Say
) -> None:
    large = [step for step in steps if isinstance(step, Request) and step.measured]
    if large:
        ids, told.timed = await instruct_timed(client, large, timeline)
        told.instructions.update(ids)
    for step in steps:
        if isinstance(step, DecisionStep):
            told.before = await timeline.effort()
            await decide(client, step)
        elif not step.measured:
            told.instructions[step.key] = await instruct(client, step)
        say(_line(step))
    if large:
        timed = told.timed
        say(
            f"         {timed.entries:,} entries sent at once: last verdict after {timed.answered_seconds:.2f} s, "
            f"merged {timed.merged_seconds:.2f} s later"
        )


def _line(step: Request | DecisionStep) -> str:
    if isinstance(step, DecisionStep):
        return f"day {step.at.days:>3}  the DCC decides: {step.mode} ({step.reason})"
    when = "no preference" if step.activate_at is None else f"for {step.activate_at:%d %B}"
    said = f"{step.kind} {len(step.entries):,} hubs ({step.group})"
    return f"day {step.at.days:>3}  {step.party} as {step.role}: {said}, {when}"


def _record(hub: EstateHub, since: str) -> dict[str, object]:
    return {
        "hub": hub_hex(hub.hub),
        "gpf": hub_hex(hub.gpf),
        "status": hub.status,
        "manufacturer": MANUFACTURER,
        "model": hub.model,
        "hardware": hub.hardware,
        "firmware": hub.firmware,
        "gbcs": hub.gbcs,
        "device_type": hub.device_type,
        "region": hub.region,
        "responsible": [
            {"party": party, "user_id": user_id(party, role), "role": role, "since": since}
            for party, role in (
                (hub.import_party, Role.IMPORT_SUPPLIER),
                (hub.gas_party, Role.GAS_SUPPLIER),
            )
        ],
    }


def _device(hub: EstateHub) -> dict[str, object]:
    return {
        "hub": hub_hex(hub.hub),
        "region": hub.region,
        "manufacturer": MANUFACTURER,
        "model": hub.model,
        "hardware": hub.hardware,
        "firmware": hub.firmware,
    }
