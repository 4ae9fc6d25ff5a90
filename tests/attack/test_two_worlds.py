"""One Party learns nothing of the other but what docs/isolation.md lists (I12).

Two worlds that differ only in the second Suppliers give the first one the same bytes; and within a world nothing that
it reads tells its hubs apart by second Supplier better than chance. Three planted faults must be found by the first,
one by the second.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from itertools import combinations
from math import log
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chfw_common.kernel.ids import hub_eui64
from chfw_common.kernel.instants import Instant
from chfw_scheduler.domain import state as scheduler_state
from chfw_scheduler.domain.merge import Plan, Terms, plan
from chfw_scheduler.stages import progress
from tests.attack.worlds import (
    AGREED,
    DECLINED,
    HUBS,
    OWN,
    REPLACED,
    Neighbourhood,
    Seen,
    draw,
    live,
    world,
)
from tests.support.databases import Databases
from tests.support.fuzzing import inputs

Play = Callable[[Neighbourhood], Seen]


@pytest.fixture
def play(databases: Databases, tmp_path: Path) -> Play:
    """Lives through a world on a database of its own, and gives what the first Supplier has read."""

    async def lived(dsn: str, hood: Neighbourhood) -> Seen:
        async with world(databases, dsn, tmp_path) as made:
            return await live(made, hood)

    def once(hood: Neighbourhood) -> Seen:
        dsn = databases.clone("chfw", databases.install)
        try:
            return asyncio.run(lived(dsn, hood))
        finally:
            databases.drop(dsn)

    return once


def first_difference(one: Seen, other: Seen) -> tuple[str, str] | None:
    """The first answers that are not the same to the byte."""
    pairs = zip(one.answers, other.answers, strict=False)
    found = next(((a, b) for a, b in pairs if a != b), None)
    return found or (None if len(one.answers) == len(other.answers) else ("", "one has read more"))


@given(seed=st.integers(0, 1 << 32))
@inputs(quick=1, long=40)
def test_worlds_that_differ_in_the_neighbours_give_the_same_bytes(play: Play, seed: int) -> None:
    """Names, times of day, batches, refused entries, repeats, words without effect, and who replaces whom."""
    one, other = play(draw(seed, 1)), play(draw(seed, 2))
    assert first_difference(one, other) is None
    hubs = one.hubs[-1].values()
    assert {hub["state"] for hub in hubs} > {"confirmed"}, "the worlds go on to the end"
    assert any(event["kind"] == "hub_progressed" for event in one.feed)
    names = [str(neighbour.party) for number in (1, 2) for neighbour in draw(seed, number).neighbours]
    assert not [text for text in one.answers + other.answers for name in names if name in text]


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """No plan is kept beyond a test: one that was made under a planted fault would count in the next."""

    def made_anew(answers: Any, responsible: Any, terms: Terms, answer_closed: Instant | None) -> Plan:
        return plan(answers, responsible, terms=terms, answer_closed=answer_closed)

    monkeypatch.setattr(scheduler_state, "_plan", made_anew)


def _to_the_microsecond(self: Terms, stated: Instant | None, received_at: Instant) -> Instant:
    if stated is None:
        return self.cut_off
    return min(self.cut_off, max(stated - self.lone_lead, received_at + self.answer_min))


def _at_once(*_: Any, **__: Any) -> None:
    return None


def _everybody(_: Any, after: Any) -> tuple[str, ...]:
    return tuple(party for party, _ in after.answers)


FAULTS: dict[str, tuple[Any, str, Any]] = {
    "answer_by is a receipt plus a constant": (Terms, "answer_by", _to_the_microsecond),
    "nothing is withheld": (progress, "withhold", _at_once),
    "everybody is told whatever a Party says": (progress, "news", _everybody),
}


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(play: Play, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """The comparison can fail: each promise that is taken away shows."""
    monkeypatch.setattr(*FAULTS[fault])
    noisy = [
        replace(hood, neighbours=tuple(replace(one, noise=noise) for one in hood.neighbours))
        for hood, noise in ((draw(5, 1), True), (draw(5, 2), False))
    ]
    assert first_difference(play(noisy[0]), play(noisy[1])) is not None


# Clustering: what the first Supplier reads of each hub, against who its second Supplier is.

Labels = dict[str, Hashable]


def labels(seen: Seen) -> dict[str, Labels]:
    """Every field of every look, and every row of the feed with its place, time and words, for each hub."""
    found: dict[str, Labels] = {}
    for number, look in enumerate(seen.hubs):
        for hub, fields in look.items():
            for name, value in fields.items():
                if name != "hub":
                    found.setdefault(f"{name} at look {number}", {})[hub] = str(value)
    rows: dict[str, dict[str, list[Any]]] = {}
    for event in seen.feed:
        told = event["data"].get("progress", []) + [
            {**one, "hubs": [one["hub"]]} for one in event["data"].get("hubs", [])
        ]
        for place, view in enumerate(told):
            for hub in view["hubs"]:
                by_name = {"rows": event["seq"], "places": (event["seq"], place), "times": event["at"]}
                for name, value in (by_name | {k: v for k, v in view.items() if k not in {"hub", "hubs"}}).items():
                    rows.setdefault(f"{name} in the feed", {}).setdefault(hub, []).append(value)
    return found | {name: {hub: str(values) for hub, values in by_hub.items()} for name, by_hub in rows.items()}


def known(number: int) -> Hashable:
    """What the first Supplier may know of a hub: what it said itself, and by the day what came of what others did."""
    return (number in OWN, number % 4 == 3, number in AGREED, number in DECLINED, number in REPLACED)


def information(labels_of: Sequence[Hashable], truth: Sequence[int]) -> float:
    """How much a labelling says about the second Supplier, in nats."""
    n = len(truth)
    both, one, other = Counter(zip(labels_of, truth, strict=True)), Counter(labels_of), Counter(truth)
    return sum(c / n * log(c * n / (one[a] * other[b])) for (a, b), c in both.items())


def purity(labels_of: Sequence[Hashable], truth: Sequence[int]) -> float:
    """The share of hubs that a guess by label gets right."""
    best: dict[Hashable, Counter[int]] = {}
    for label, who in zip(labels_of, truth, strict=True):
        best.setdefault(label, Counter())[who] += 1
    return sum(max(found.values()) for found in best.values()) / len(truth)


DEALS, SIGMAS = 60, 6.0


def tells_apart(seen: Seen, hood: Neighbourhood, *, pairs: bool = True) -> list[str]:
    """Labels, alone and in pairs, that name the second Supplier better than chance among hubs of which as much is
    known.

    Chance: the second Suppliers dealt anew among hubs of which the same is known by the day. A label that beats it by
    six standard deviations tells them apart; of many thousand labels that do not, none does.
    """
    dice, numbers = random.Random(7), range(len(HUBS))
    truth, alike = hood.second, [known(n) for n in numbers]
    deals = [list(truth) for _ in range(DEALS)]
    for group in sorted(set(alike), key=str):
        places = [n for n in numbers if alike[n] == group]
        for dealt in deals:
            for place, who in zip(places, dice.sample([truth[n] for n in places], len(places)), strict=True):
                dealt[place] = who
    found = []
    for partition, name in partitions(labels(seen), pairs=pairs).items():
        for measure in (information, purity):
            by_chance = [measure(partition, dealt) for dealt in deals]
            margin = SIGMAS * pstdev(by_chance) + 1e-9
            if measure(partition, truth) > fmean(by_chance) + margin:
                found.append(f"{measure.__name__} of {name}")
    return found


def partitions(columns: dict[str, Labels], *, pairs: bool) -> dict[tuple[int, ...], str]:
    """How labels, and pairs of them, divide the hubs, each way once with the name of one that does."""
    singles: dict[tuple[int, ...], str] = {}
    for name, by_hub in columns.items():
        singles.setdefault(_numbered([by_hub.get(hub_eui64(hub)) for hub in HUBS]), name)
    found = dict(singles)
    for (one, first), (other, second) in combinations(singles.items(), 2) if pairs else ():
        found.setdefault(_numbered(list(zip(one, other, strict=True))), f"{first} and {second}")
    return found


def _numbered(column: Sequence[Hashable]) -> tuple[int, ...]:
    numbers: dict[Hashable, int] = {}
    return tuple(numbers.setdefault(label, len(numbers)) for label in column)


def test_nothing_that_is_read_names_the_second_supplier_better_than_whole_days_do(play: Play) -> None:
    hood = draw(11, 1)
    assert len({one.hour for one in hood.neighbours}) > 1, "else nothing could tell them apart"
    assert tells_apart(play(hood), hood) == []


@pytest.mark.usefixtures("forgetful")
def test_the_measure_finds_a_wait_that_counts_from_the_receipt(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*FAULTS["answer_by is a receipt plus a constant"])
    hood = draw(11, 1)
    found = tells_apart(play(hood), hood, pairs=False)
    assert any("answer_by" in name for name in found), found
