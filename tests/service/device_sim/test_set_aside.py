"""A hub of the simulated network on which a stage breaks down stops no other."""

from typing import Any

import pytest

from chfw_common.events.response import ResponseItem, ResponseKind
from chfw_common.kernel.ids import HubId
from chfw_common.runtime.database import prepare
from chfw_common.runtime.pieces import FAR, run_in_pieces
from chfw_common.runtime.service import Tick, Tx
from chfw_device_sim.domain.cs06 import execute
from chfw_device_sim.domain.image import Radio
from chfw_device_sim.stages import activate, call_up, deliver, hear
from chfw_device_sim.store import image as store
from tests.service.device_sim.stand import (
    DAY,
    HOUR,
    HUBS,
    SURE,
    T0,
    A,
    B,
    C,
    alerts,
    answers,
    arm,
    distribute,
    held,
    hubs_of_one_partition,
    image,
    load_devices,
    network,
    obey,
)
from tests.support.times import still


async def in_pieces(tx: Tx, tick: Tick, now: Any) -> tuple[list[HubId], list[HubId]]:
    """The hubs that said something, and those that were set aside."""
    assert tick.pieces is not None
    await prepare(tx)
    result, aside = await run_in_pieces(tx, tick.name, tick.pieces, still(now))
    rows = await tx.fetch("select work from set_aside order by id")
    assert aside == len(rows)
    said = [item.hub for item in answers(result.outgoing)] + [item.hub for item in alerts(result.outgoing)]
    return sorted(said), [HubId(row["work"]["hub"]) for row in rows]


async def test_an_image_that_cannot_arrive(tx: Tx, monkeypatch: pytest.MonkeyPatch) -> None:
    await load_devices(tx)
    await distribute(tx, image(*HUBS))
    end = store.end_deliveries

    async def broken(on: Tx, ended: Any) -> None:
        if any(hub == B for hub, _ in ended):
            await on.execute("select 1 / 0")
        await end(on, ended)

    monkeypatch.setattr(store, "end_deliveries", broken)
    assert await in_pieces(tx, deliver.tick(SURE), T0 + HOUR) == (sorted([A, C]), [B])
    assert await deliver.next_due(tx, T0) == FAR
    monkeypatch.setattr(store, "end_deliveries", end)
    await deliver.put_off(tx, {"hub": B}, T0 + 2 * HOUR)
    assert [item.hub for item in answers((await deliver.tick(SURE).run(tx, still(T0 + 2 * HOUR))).outgoing)] == [B]


async def test_an_activation_that_breaks_down(tx: Tx, monkeypatch: pytest.MonkeyPatch) -> None:
    await held(tx)
    for hub in HUBS:
        await obey(tx, arm(hub, 1))
    rule = execute

    def broken(due: Any, *rest: Any) -> Any:
        if due.hub == A:
            raise ZeroDivisionError
        return rule(due, *rest)

    monkeypatch.setattr(activate, "execute", broken)
    assert await in_pieces(tx, activate.tick(SURE), T0 + DAY) == (sorted([B, C]), [A])
    monkeypatch.setattr(activate, "execute", rule)
    await activate.put_off(tx, {"hub": A}, T0 + 2 * DAY)
    done = await activate.tick(SURE).run(tx, still(T0 + 2 * DAY))
    assert [item.hub for item in alerts(done.outgoing)] == [A]


async def test_a_word_that_cannot_be_read(tx: Tx) -> None:
    """It is forgotten when it is taken, so it must be there again when it is set aside."""
    good = ResponseItem(hub=B, kind=ResponseKind.DELIVERED, at=T0).model_dump_json()
    for hub, item in ((A, "{}"), (B, good)):
        await tx.execute(
            """insert into later (part, due_at, hub, release_id, topic, item)
               values (0, $1, $2, 'r1', 'hub.response', $3)""",
            T0,
            hub,
            item,
        )
    assert await in_pieces(tx, hear.tick(), T0) == ([B], [A])
    assert [tuple(row) for row in await tx.fetch("select hub, due_at from later")] == [(A, FAR)]


async def test_a_hub_that_cannot_be_called_up(tx: Tx, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others of its region's queue go on in their order, and the region's counts stay right."""
    narrow = network(in_flight=2)
    first, second, broken, *others = many = hubs_of_one_partition(6)
    await load_devices(tx, many)
    await distribute(tx, image(*many), on=narrow)
    await deliver.tick(narrow).run(tx, still(T0 + HOUR))
    rule = Radio.arrival

    def failing(radio: Radio, hub: HubId, *rest: Any) -> Any:
        if hub == broken:
            raise ZeroDivisionError
        return rule(radio, hub, *rest)

    monkeypatch.setattr(Radio, "arrival", failing)
    tick = call_up.tick(narrow)
    assert await in_pieces(tx, tick, T0 + HOUR) == ([], [broken])
    now = T0 + HOUR
    arrived: list[HubId] = []
    for _ in range(4):
        now += HOUR
        arrived += [item.hub for item in answers((await deliver.tick(narrow).run(tx, still(now))).outgoing)]
        await tick.run(tx, still(now))
    assert arrived == others
    # It counts as one whose image travels.
    assert await lane_of(tx) == (1, 0)
    assert await tick.next_due(tx, now) is None
    monkeypatch.setattr(Radio, "arrival", rule)
    await call_up.put_off(tx, {"hub": broken}, now)
    assert await lane_of(tx) == (0, 1)
    await tick.run(tx, still(now))
    assert await lane_of(tx) == (1, 0)
    came = answers((await deliver.tick(narrow).run(tx, still(now + HOUR))).outgoing)
    assert [item.hub for item in came] == [broken]
    assert await lane_of(tx) == (0, 0)
    assert {first, second} == {*many} - {broken, *others}


async def lane_of(tx: Tx) -> tuple[int, int]:
    """Images that travel in the region, and images that wait."""
    row = await tx.fetchrow("select in_flight, queued from lane where region = 'North'")
    assert row is not None
    return row["in_flight"], row["queued"]
