"""`chfw positions`: partitions that a service cannot read on, and the decision of a person about them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar, TypeVarTuple

import asyncpg
import typer

from chfw_cli import positions
from chfw_cli.commands.errors import TOLD
from chfw_cli.commands.options import StateOption, chosen_state
from chfw_cli.local.record import StackRecord
from chfw_cli.local.services import DATABASE
from chfw_common.runtime.accepting import Decision, PositionMovedError
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.topology import SERVICES

T = TypeVar("T")
Args = TypeVarTuple("Args")

app = typer.Typer(help="Where services stand in the logs they read.", no_args_is_help=True)

Service = Annotated[str | None, typer.Option(help="Only those of this service.")]
TopicName = Annotated[str | None, typer.Option("--topic", help="Only those of this topic.")]
Partitions = Annotated[list[int] | None, typer.Option("--partition", help="Only these partitions.")]


@app.command()
def show(
    service: Service = None,
    topic: TopicName = None,
    partitions: Partitions = None,
    everything: Annotated[bool, typer.Option("--all", help="Also positions that can be read on.")] = False,
    state: StateOption = None,
) -> None:
    """Show the positions that cannot be read on and what accepting would make of them; then the decisions kept."""
    choice = _choice(service, topic, partitions)
    standings, decided = _run(_show, state, choice)
    for one in standings:
        if everything or _stopped(one):
            typer.echo(_line(one))
    typer.echo(f"{sum(map(_stopped, standings))} of {len(standings)} positions cannot be read on")
    for kept in decided:
        typer.echo(
            f"decided {kept.decided_at:%Y-%m-%dT%H:%M:%SZ} by {kept.decided_by}: {kept.service} "
            f"{kept.topic}/{kept.partition} {kept.next_before} -> {kept.next_after} ({kept.found}): {kept.reason}"
        )


@app.command()
def accept(
    service: Annotated[str, typer.Option(help="The service whose positions are meant.")],
    topic: Annotated[str, typer.Option("--topic", help="The topic.")],
    reason: Annotated[str, typer.Option(help="Why what is missing may be given up. It is kept.")],
    decided_by: Annotated[str, typer.Option("--by", help="Who decides. It is kept.")],
    partitions: Partitions = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    state: StateOption = None,
) -> None:
    """Accept the log as it is: the service reads on from there. Records that are missing stay missing."""
    if not reason.strip() or not decided_by.strip():
        typer.echo("chfw positions accept: say why (--reason) and who decides (--by)", err=True)
        raise typer.Exit(2)
    decision = Decision(reason.strip(), decided_by.strip(), machine_now())
    choice = _choice(service, topic, partitions)
    stopped = _run(_accept, state, choice, None if dry_run else decision)
    for one in stopped:
        typer.echo(_line(one))
    typer.echo(f"{len(stopped)} {'would be ' if dry_run else ''}accepted")


def _run(
    work: Callable[[Any, KafkaAccess, positions.Choice, *Args], Awaitable[T]],
    state: Path | None,
    choice: positions.Choice,
    *more: *Args,
) -> T:
    """Do the work on the running stack, connected as its administrator."""

    async def connected() -> T:
        stack = StackRecord.read(chosen_state(state))
        connection = await asyncpg.connect(stack.admin_dsn, database=DATABASE)
        try:
            return await work(connection, stack.kafka, choice, *more)
        finally:
            await connection.close()

    try:
        return asyncio.run(connected())
    except (*TOLD, TransientError, PositionMovedError) as error:
        typer.echo(f"chfw positions: {error}", err=True)
        raise typer.Exit(2) from error


async def _show(
    connection: Any, kafka: KafkaAccess, choice: positions.Choice
) -> tuple[list[positions.Standing], list[positions.Decided]]:
    return await positions.look(connection, kafka, choice), await positions.history(connection, choice)


async def _accept(
    connection: Any, kafka: KafkaAccess, choice: positions.Choice, decision: Decision | None
) -> list[positions.Standing]:
    """The positions that were accepted; without a decision, those that would be."""
    found = await positions.look(connection, kafka, choice)
    stopped = [one for one in found if one.proposal is not None]
    if decision is not None:
        await positions.decide(connection, stopped, decision)
    return stopped


def _choice(service: str | None, topic: str | None, partitions: list[int] | None) -> positions.Choice:
    if service is not None and service not in SERVICES:
        raise typer.BadParameter(f"no service is called {service}", param_hint="--service")
    return positions.Choice(service, topic, tuple(partitions or ()))


def _stopped(one: positions.Standing) -> bool:
    return one.log is None or one.proposal is not None


def _line(one: positions.Standing) -> str:
    where = f"{one.service:<12} {f'{one.topic}/{one.partition}':<26} due {one.position.next:<8}"
    if one.log is None:
        return f"{where} the cluster has no such partition"
    log = f"{where} log {one.log.begin} up to {one.log.end}"
    if one.proposal is None:
        return log
    after = one.proposal.after
    another = f" of topic {after.topic_id}" if after.incarnation > one.position.incarnation else ""
    return f"{log}; {one.proposal.found}; accepted, it is read from {after.next}{another}"
