"""The large requests: sent at once, timed until the last verdict can be read and until all is merged, then judged."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chfw_cli.demo.client import Client
from chfw_cli.demo.oracle import judge_all
from chfw_cli.demo.pacing import Timeline
from chfw_cli.demo.story import IMAGE, RELEASE_ID, Request, Story

LOOK_EVERY = 0.1
"""Seconds between two looks: to ask takes a few milliseconds of the service that is timed."""
PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Timed:
    """How long requests sent at once took: machine seconds until the last verdict could be read, then until merged."""

    entries: int = 0
    answered_seconds: float = 0.0
    merged_seconds: float = 0.0


async def instruct(client: Client, request: Request) -> str:
    """Send a request; gives the id of the instruction."""
    body: dict[str, object] = {
        "kind": request.kind,
        "group": request.group,
        "activate_at": None if request.activate_at is None else request.activate_at.isoformat(),
        "hubs": list(request.entries),
    }
    path = f"/v1/releases/{RELEASE_ID}/instructions"
    receipt = await client.post("instruction", path, body, key=request.key, party=request.party, role=request.role)
    return str(receipt["request_id"])


async def instruct_timed(
    client: Client, requests: Sequence[Request], timeline: Timeline
) -> tuple[dict[str, str], Timed]:
    """Send requests side by side and wait for their verdicts, then for the scheduler."""
    begun = time.monotonic()
    ids = await timeline.side_by_side([_until_answered(client, request, timeline) for request in requests])
    answered = time.monotonic()
    await timeline.merged()
    timed = Timed(
        sum(len(request.entries) for request in requests),
        round(answered - begun, 2),
        round(time.monotonic() - answered, 2),
    )
    return {request.key: found for request, found in zip(requests, ids, strict=True)}, timed


async def _until_answered(client: Client, request: Request, timeline: Timeline) -> str:
    instruction = await instruct(client, request)
    while True:
        await timeline.work()
        known = await client.get(
            "instruction", f"/v1/instructions/{instruction}", party=request.party, role=request.role
        )
        if known["state"] == "done":
            return instruction
        await asyncio.sleep(LOOK_EVERY)


async def verdict_mismatches(client: Client, story: Story, ids: Mapping[str, str]) -> list[str]:
    """Compare every verdict of every request with what the oracle says of it, entry by entry."""
    found: list[str] = []
    judged = judge_all(IMAGE, story.boxes(), story.requests)
    for request, (_, verdicts) in zip(story.requests, judged, strict=True):
        said: list[Any] = []
        path = f"/v1/instructions/{ids[request.key]}/results"
        async for page in client.pages(
            "instruction", path, "results", party=request.party, role=request.role, limit=PAGE
        ):
            said += page
        expected = [verdict for verdict, _ in verdicts]
        if len(said) != len(expected):
            found.append(f"{request.key}: {len(expected)} entries, {len(said)} verdicts")
        for row, verdict, text in zip(said, expected, request.entries, strict=False):
            if (row["verdict"], row["as_sent"]) != (verdict, text):
                found.append(f"{request.key}: {text!r} is {row['verdict']}, expected {verdict}")
    return found
