"""Decided actions as events: what goes to the edges, under the epoch and permit of the decision in force."""

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from chfw_common.events.command import CommandItem, CommandKind, HubCancel, HubCommand
from chfw_common.events.distributed import FirmwareDistributed
from chfw_common.kernel.ids import HubId, hub_eui64
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.kept import keep_error
from chfw_common.runtime.service import Outgoing, Tx, hub_events
from chfw_common.runtime.transient import is_transient
from chfw_common.topology import FIRMWARE_DISTRIBUTED, HUB_CANCEL, HUB_COMMAND
from chfw_scheduler.domain.act import (
    Action,
    Arm,
    Cancel,
    Distribute,
    Read,
    milliseconds,
    needs_counter,
    numbered,
)
from chfw_scheduler.domain.facts import Facts, Row
from chfw_scheduler.domain.hear import Anomaly
from chfw_scheduler.domain.rollout import Rollout
from chfw_scheduler.stages.progress import write_back
from chfw_scheduler.store import counters, releases

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Commanded:
    """An action decided for one hub."""

    part: int
    hub: HubId
    action: Action


async def carry_out(
    tx: Tx,
    rollout: Rollout,
    rows: Sequence[Row],
    decide: Callable[[Facts], tuple[Facts, Action | None]],
    now: Instant,
) -> list[Outgoing]:
    """Decide on locked rows one by one, write them back, and send what was decided: commands first."""
    changed: dict[HubId, Facts] = {}
    decided = []
    for row in rows:
        facts, action = decide(row.facts)
        changed[facts.hub] = facts
        if action is not None:
            decided.append(Commanded(facts.part, facts.hub, action))
    decided = await give_counters(tx, changed, decided, now)
    told = await write_back(tx, rollout, [(row, changed[row.facts.hub]) for row in rows], now)
    return commands(rollout, decided, now) + told


async def carry_out_apart(
    tx: Tx,
    rollout: Rollout,
    rows: Sequence[Row],
    decide: Callable[[Facts], tuple[Facts, Action | None]],
    now: Instant,
) -> list[Outgoing]:
    """The same where one hub must not keep another from it: what fails is halved until the hub is found.

    That hub stays as it is. It is an anomaly, and an alarm is logged. Raises what is transient.
    """
    if not rows:
        return []
    try:
        async with tx.transaction():
            return await carry_out(tx, rollout, rows, decide, now)
    except Exception as error:
        if is_transient(error):
            raise
        if len(rows) == 1:
            return await _left_as_it_is(tx, rollout, rows[0].facts.hub, error, now)
    half = len(rows) // 2
    first = await carry_out_apart(tx, rollout, rows[:half], decide, now)
    return first + await carry_out_apart(tx, rollout, rows[half:], decide, now)


async def _left_as_it_is(tx: Tx, rollout: Rollout, hub: HubId, error: Exception, now: Instant) -> list[Outgoing]:
    reason = keep_error(f"{type(error).__name__}: {error}")
    log.error(
        "a hub cannot be commanded", action="alarm", kind="hub_left", rollout=rollout.release_id, hub=hub_eui64(hub),
        error=reason, exc_info=error,
    )  # fmt: skip
    await releases.note_anomalies(tx, rollout.release_id, [(hub, Anomaly("cannot_be_commanded", reason[:200]))], now)
    return []


async def give_counters(
    tx: Tx, facts: dict[HubId, Facts], decided: Sequence[Commanded], now: Instant, *, wait: bool = True
) -> list[Commanded]:
    """Give each command its originator counter, in `facts` too: one that no release has given to the hub, and above all
    that were. After the rows are locked and before the outbox: the lock lasts until the transaction ends.

    `wait=False` is for a transaction that has written counts: counters that another gives raise an error of Postgres
    that means "try again", since the other may be waiting for the counts.
    """
    wanted = Counter(one.part for one in decided if needs_counter(one.action))
    if not wanted:
        return list(decided)
    last = await counters.give(tx, wanted, milliseconds(now), wait=wait)
    following = {part: last[part] - wanted[part] for part in wanted}
    given = []
    for one in decided:
        if needs_counter(one.action):
            following[one.part] += 1
            facts[one.hub], action = numbered(facts[one.hub], one.action, following[one.part])
            given.append(Commanded(one.part, one.hub, action))
        else:
            given.append(one)
    return given


def has_commands(outgoing: Sequence[Outgoing]) -> bool:
    """Whether there are commands among the events: then their transaction holds counters, and waits for no row."""
    return any(out.topic in {HUB_COMMAND, HUB_CANCEL} for out in outgoing)


def commands(rollout: Rollout, decided: Sequence[Commanded], now: Instant) -> list[Outgoing]:
    """The events of decided actions: distributions, then commands by kind, in chunks of a partition."""
    image_rows = [(c.part, c.hub, c.hub) for c in decided if isinstance(c.action, Distribute)]
    outgoing = hub_events(
        FIRMWARE_DISTRIBUTED,
        image_rows,
        lambda hubs: FirmwareDistributed(
            release_id=rollout.release_id,
            firmware=rollout.image.firmware,
            image_hash=rollout.image_hash,
            epoch=rollout.decision.epoch,
            not_before=now,
            permit_until=now + rollout.pacing.permit_ttl,
            hubs=hubs,
        ),
    )
    for kind in CommandKind:
        rows = [(c.part, c.hub, item) for c in decided if (item := _item(c, kind)) is not None]
        # A cancel may overtake the CS06 that it calls back: the hub then takes the CS06 for an old one, by its counter.
        topic = HUB_CANCEL if kind is CommandKind.CANCEL else HUB_COMMAND
        outgoing += hub_events(topic, rows, functools.partial(_command, rollout, kind, now))
    return outgoing


def _item(commanded: Commanded, kind: CommandKind) -> CommandItem | None:
    match commanded.action, kind:
        case Arm(counter, activate_at), CommandKind.ACTIVATE:
            return CommandItem(hub=commanded.hub, counter=counter, activate_at=activate_at)
        case Cancel(counter, cancels), CommandKind.CANCEL:
            return CommandItem(hub=commanded.hub, counter=counter, cancels=cancels)
        case Read(counter), CommandKind.READ:
            return CommandItem(hub=commanded.hub, counter=counter)
    return None


def _command(
    rollout: Rollout, kind: CommandKind, now: Instant, items: tuple[CommandItem, ...]
) -> HubCommand | HubCancel:
    said: dict[str, Any] = {
        "release_id": rollout.release_id,
        "firmware": rollout.image.firmware,
        "image_hash": rollout.image_hash,
        "epoch": rollout.decision.epoch,
        "not_before": now,
        "permit_until": now + rollout.pacing.permit_ttl,
        "items": items,
    }
    return HubCancel(**said) if kind is CommandKind.CANCEL else HubCommand(kind=kind, **said)
