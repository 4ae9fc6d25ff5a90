"""A hub on which a rule breaks down stops no other: it is set aside, and goes on once a person wants it."""

from typing import Any

import pytest

from chfw_common.kernel.rollout import Mode
from chfw_common.runtime.pieces import try_again
from chfw_scheduler.domain.act import claim_if_due, pass_time
from chfw_scheduler.stages import claim, decide, report, watch
from tests.service.scheduler.stand import HOUR, Stand, hubs_of, instruction
from tests.support.release import DAY, RELEASE
from tests.support.times import still


async def fails_twice(stand: Stand, tick: str) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await stand.tick(tick)


async def wanted_again(stand: Stand) -> None:
    async with stand.database.transaction() as tx:
        await tx.execute("update set_aside set retry = true")
    assert await try_again(stand.database, stand.service.ticks, still(stand.now)) == 1


async def test_a_hub_that_cannot_be_claimed(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    hubs = hubs_of(3, 5)
    await stand.enrolled(hubs)
    await stand.instruct(instruction("elec", hubs))
    await stand.decide(1, Mode.RUN)
    rule = claim_if_due

    def broken(facts: Any, *rest: Any) -> Any:
        if facts.hub == hubs[2]:
            raise ZeroDivisionError
        return rule(facts, *rest)

    monkeypatch.setattr(claim, "claim_if_due", broken)
    await fails_twice(stand, "claim")
    assert await stand.distributed() == []
    await stand.tick("claim")
    assert sorted(await stand.distributed()) == sorted({*hubs} - {hubs[2]})
    assert await stand.fetch("select tick, work from set_aside") == [
        ("claim", {"release_id": RELEASE, "part": 3, "hub": hubs[2]})
    ]
    assert await stand.tick("claim") == 0
    monkeypatch.setattr(claim, "claim_if_due", rule)
    await wanted_again(stand)
    await stand.tick("claim")
    assert await stand.distributed() == [hubs[2]]


async def test_a_hub_for_which_time_cannot_pass(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    hubs = hubs_of(3, 5)
    await stand.armed(hubs)
    rule = pass_time

    def broken(facts: Any, *rest: Any) -> Any:
        if facts.hub == hubs[0]:
            raise ZeroDivisionError
        return rule(facts, *rest)

    monkeypatch.setattr(watch, "pass_time", broken)
    stand.now += 3 * DAY
    await fails_twice(stand, "watch")
    await stand.tick("watch")
    states = dict(await stand.fetch("select hub, state from ledger"))
    assert {hub for hub, state in states.items() if state == "silent"} == {*hubs} - {hubs[0]}
    assert await stand.fetch("select work from set_aside") == [({"release_id": RELEASE, "part": 3, "hub": hubs[0]},)]
    monkeypatch.setattr(watch, "pass_time", rule)
    await wanted_again(stand)
    await stand.tick("watch")
    assert await stand.states() == {"silent": 5}


async def test_a_halt_that_cannot_be_declared_effective(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    await stand.enrolled(hubs_of(3, 1))
    await stand.decide(1, Mode.PAUSE, halt=1)
    tell = decide._effective  # noqa: SLF001 - a fault is planted

    async def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(decide, "_effective", broken)
    stand.now += HOUR
    await fails_twice(stand, "effective")
    await stand.tick("effective")
    assert await stand.fetch("select work from set_aside") == [({"release_id": RELEASE},)]
    assert await stand.fetch("select effective_at from decision") == [(None,)]
    monkeypatch.setattr(decide, "_effective", tell)
    await wanted_again(stand)
    await stand.tick("effective")
    assert await stand.fetch("select effective_at from decision") == [(stand.now,)]


async def test_what_is_new_of_a_hub_that_was_set_aside_makes_it_due_again(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claim is derived anew from its facts, so nobody has to ask where the facts themselves were the reason."""
    (hub,) = hubs = hubs_of(3, 1)
    await stand.enrolled(hubs)
    await stand.instruct(instruction("elec", hubs))
    await stand.decide(1, Mode.RUN)

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(claim, "claim_if_due", broken)
        await fails_twice(stand, "claim")
        await stand.tick("claim")
    assert await stand.distributed() == []
    await stand.instruct(instruction("elec", hubs, seq=2))
    await stand.tick("claim")
    assert await stand.distributed() == [hub]


async def test_a_release_of_which_nothing_can_be_told(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are told of, and a halt of this one all the same."""
    hubs = hubs_of(3, 2)
    await stand.enrolled(hubs)
    await stand.instruct(instruction("elec", hubs))
    stand.now += DAY
    tell = report.kind_of

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(report, "kind_of", broken)
    await fails_twice(stand, "report")
    await stand.tick("report")
    assert await stand.fetch("select tick, work from set_aside") == [("report", {"release_id": RELEASE})]
    assert await stand.tick("report") == 0
    monkeypatch.setattr(report, "kind_of", tell)
    await wanted_again(stand)
    assert await stand.tick("report") > 0
    assert await stand.fetch("select put_off_until from told") == [(None,)]
