"""A person decides about a position that cannot be read on: what it becomes; a row keeps who, why and when."""

from dataclasses import dataclass

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.offsets import Position, lock_position
from chfw_common.runtime.positions import Held, LogState
from chfw_common.runtime.service import Tx


class PositionMovedError(Exception):
    """The position is not any more what the person saw: look again."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What accepting the log as it is makes of a position: the offsets [first, beyond) of `stepped` are given up.

    `found` says why the position cannot be read on.
    """

    before: Position
    after: Position
    stepped: tuple[int, int] | None
    found: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided, why, when."""

    reason: str
    decided_by: str
    at: Instant


def propose(position: Position, log: LogState, held: Held | None) -> Proposal | None:
    """How a position can be read on in the log as it is; None when it can be read on as it stands.

    `held` is what the log holds from the position on, where it lies inside the log. Another log (another topic id, or
    one that ends before the position) begins a new incarnation. All that another topic holds is read; a log cut back is
    read from its end, for what it holds was settled before.
    """
    if position.topic_id != log.topic_id:
        found = f"counted on topic {position.topic_id}, the cluster has {log.topic_id}"
        return _another_log(position, log, log.begin, found)
    found = f"offset {position.next} is due, the log holds {log.begin} up to {log.end}"
    if position.next > log.end:
        return _another_log(position, log, log.end, found)
    if position.next < log.begin:
        return _onwards(position, log.begin, found)
    if held is None or position.next in {held.record, log.end} or held.controls > position.next:
        return None
    target = log.end if held.record is None else held.record
    return _onwards(position, target, f"offset {position.next} is due, the log goes on at {target}")


def _another_log(position: Position, log: LogState, start: int, found: str) -> Proposal:
    after = Position(log.topic_id, position.incarnation + 1, start)
    return Proposal(position, after, (0, start) if start else None, found)


def _onwards(position: Position, target: int, found: str) -> Proposal:
    after = Position(position.topic_id, position.incarnation, target)
    return Proposal(position, after, (position.next, target), found)


async def accept(tx: Tx, topic: str, partition: int, proposal: Proposal, decision: Decision) -> None:
    """Move the position as proposed and keep the decision. Raises PositionMovedError when it is another by now."""
    before, after = proposal.before, proposal.after
    found = await lock_position(tx, topic, partition)
    if found != before:
        raise PositionMovedError(f"{topic}/{partition}: the position was {before.next}, now it is {found.next}")
    await tx.execute(
        """update consumer_offset set topic_id = $3, incarnation = $4, next = $5
           where topic = $1 and partition = $2""",
        topic,
        partition,
        after.topic_id,
        after.incarnation,
        after.next,
    )
    if proposal.stepped is not None:
        await tx.execute(
            """insert into stepped_over (topic, partition, incarnation, first, beyond, kind, reason, decided_by, at)
               values ($1, $2, $3, $4, $5, 'decided', $6, $7, $8)""",
            topic,
            partition,
            after.incarnation,
            *proposal.stepped,
            decision.reason,
            decision.decided_by,
            decision.at,
        )
    await tx.execute(
        """insert into position_decision (
               topic, partition, incarnation_before, topic_id_before, next_before,
               incarnation_after, topic_id_after, next_after, found, reason, decided_by, decided_at
           ) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)""",
        topic,
        partition,
        before.incarnation,
        before.topic_id,
        before.next,
        after.incarnation,
        after.topic_id,
        after.next,
        proposal.found,
        decision.reason,
        decision.decided_by,
        decision.at,
    )
    # Failures were counted at offsets of the position before.
    await tx.execute("delete from consume_failure where topic = $1 and partition = $2", topic, partition)
