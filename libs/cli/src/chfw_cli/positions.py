"""Positions of the services against the logs they count on: look, and decide about those that cannot be read on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chfw_cli.operator import write_down
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.accepting import Decision, Proposal, accept, propose
from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.runtime.kafka.ends import EndOffsets
from chfw_common.runtime.kafka.holes import read_held
from chfw_common.runtime.offsets import Position
from chfw_common.runtime.positions import LogState
from chfw_common.runtime.service import Change
from chfw_common.topology import SERVICES, schema_of


@dataclass(frozen=True, slots=True)
class Choice:
    """Which positions are meant: those that fit every condition given."""

    service: str | None = None
    topic: str | None = None
    partitions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a service stands in a partition. `log` is None where the cluster has none; `proposal` is there when the
    position cannot be read on."""

    service: str
    topic: str
    partition: int
    position: Position
    log: LogState | None
    proposal: Proposal | None


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that was kept."""

    service: str
    topic: str
    partition: int
    next_before: int
    next_after: int
    topic_id_before: str
    topic_id_after: str
    found: str
    reason: str
    decided_by: str
    decided_at: Instant


async def look(connection: Any, kafka: KafkaAccess, choice: Choice) -> list[Standing]:
    """The positions chosen, each held against its log. Raises TransientError when the broker is away."""
    ends, found = EndOffsets(kafka), []
    try:
        for service in _services(choice):
            known = await _positions(connection, service, choice)
            wanted: dict[str, list[int]] = {}
            for topic, partition in known:
                wanted.setdefault(topic, []).append(partition)
            logs = await ends.logs(wanted) if wanted else {}
            for (topic, partition), position in known.items():
                log = logs.get((topic, partition))
                proposal = None if log is None else await _propose(kafka, topic, partition, position, log)
                found.append(Standing(service, topic, partition, position, log, proposal))
    finally:
        await ends.close()
    return found


async def decide(connection: Any, standings: Sequence[Standing], decision: Decision) -> None:
    """Accept the logs as they are for these positions: all of them, or none. Raises PositionMovedError."""
    async with connection.transaction():
        for one in standings:
            if one.proposal is not None:
                await connection.execute(f"set local search_path to {schema_of(one.service)}")
                await accept(connection, one.topic, one.partition, one.proposal, decision)
        accepted = ((one, one.proposal) for one in standings if one.proposal is not None)
        await write_down(connection, [(one.service, _change(one, made, decision)) for one, made in accepted])


def _change(one: Standing, made: Proposal, decision: Decision) -> Change:
    after = {**asdict(made.after), "reason": decision.reason, "decided_by": decision.decided_by}
    return Change("positions accept", f"{one.topic}/{one.partition}", asdict(made.before), after)


async def history(connection: Any, choice: Choice) -> list[Decided]:
    """The decisions that were kept, service by service, oldest first."""
    found = []
    for service in _services(choice):
        rows = await connection.fetch(
            f"""select topic, partition, next_before, next_after, topic_id_before, topic_id_after, found, reason,
                       decided_by, decided_at
                from {schema_of(service)}.position_decision
                where ($1::text is null or topic = $1) and (cardinality($2::int[]) = 0 or partition = any($2))
                order by id""",
            choice.topic,
            list(choice.partitions),
        )
        found += [Decided(service, **dict(row)) for row in rows]
    return found


def _services(choice: Choice) -> Sequence[str]:
    return tuple(SERVICES) if choice.service is None else (choice.service,)


async def _positions(connection: Any, service: str, choice: Choice) -> dict[tuple[str, int], Position]:
    rows = await connection.fetch(
        f"""select topic, partition, topic_id, incarnation, next from {schema_of(service)}.consumer_offset
            where ($1::text is null or topic = $1) and (cardinality($2::int[]) = 0 or partition = any($2))
            order by topic, partition""",
        choice.topic,
        list(choice.partitions),
    )
    return {
        (row["topic"], row["partition"]): Position(row["topic_id"], row["incarnation"], row["next"]) for row in rows
    }


async def _propose(
    kafka: KafkaAccess, topic: str, partition: int, position: Position, log: LogState
) -> Proposal | None:
    inside = position.topic_id == log.topic_id and log.begin <= position.next < log.end
    held = await read_held(kafka, topic, partition, position.next, log.end) if inside else None
    return propose(position, log, held)
