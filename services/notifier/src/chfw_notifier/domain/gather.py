"""What a Party is told of its hubs in a quarter of an hour, put together: nothing shows what came from one cause."""

from collections.abc import Iterable, Sequence
from typing import Any

from chfw_common.kernel.ids import HubId
from chfw_notifier.domain.view import Group, View

MOST = 500
"""Hubs that one row of a feed tells of."""


def rows_of(told: Iterable[Sequence[Group]]) -> list[list[Group]]:
    """The rows of a feed, from what was told in its order.

    First comes what was told first of each hub, then what was told second, and so on, so every stage is told (R4-0).
    Within each, hubs that look the same stand together in the order of their ids, and these groups in the order of
    their first hubs. What a hub was told last is not told again.
    """
    steps: list[dict[View, list[HubId]]] = []
    last: dict[HubId, tuple[int, View]] = {}
    for groups in told:
        for view, hubs in groups:
            for hub in hubs:
                step, known = last.get(hub, (-1, None))
                if known != view:
                    last[hub] = (step + 1, view)
                    if step + 1 == len(steps):
                        steps.append({})
                    steps[step + 1].setdefault(view, []).append(hub)
    return [row for step in steps for row in _cut(step)]


def _cut(step: dict[View, list[HubId]]) -> list[list[Group]]:
    groups = sorted(((view, sorted(hubs)) for view, hubs in step.items()), key=lambda group: group[1][0])
    rows: list[list[Group]] = [[]]
    room = MOST
    for view, hubs in groups:
        place = 0
        while place < len(hubs):
            if room == 0:
                rows.append([])
                room = MOST
            some = hubs[place : place + room]
            rows[-1].append((view, some))
            place += len(some)
            room -= len(some)
    return rows


def in_order(hubs: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """What was told of single hubs, by hub and time, cut into rows."""
    found = sorted(hubs, key=lambda told: (told["hub"], told["at"], told["cause"], str(told["outcome"])))
    return [found[start : start + MOST] for start in range(0, len(found), MOST)]
