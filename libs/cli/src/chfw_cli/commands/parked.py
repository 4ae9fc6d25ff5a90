"""`chfw parked`: records that wait for a person."""

import asyncio
from typing import Annotated

import asyncpg
import typer

from chfw_cli import parked
from chfw_cli.commands.errors import TOLD
from chfw_cli.commands.options import StateOption, chosen_state
from chfw_cli.local.record import StackRecord
from chfw_cli.local.services import DATABASE

app = typer.Typer(help="Records that a service could not handle.", no_args_is_help=True)

Service = Annotated[str | None, typer.Option(help="Only those of this service.")]
Ids = Annotated[list[int] | None, typer.Option("--id", help="Only these.")]
Text = Annotated[str | None, typer.Option("--error", help="Only those whose error contains this text.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


@app.command("list")
def listing(service: Service = None, ids: Ids = None, error: Text = None, state: StateOption = None) -> None:
    """List parked records."""
    _act("list", parked.Choice(service, tuple(ids or ()), error), state, dry_run=True)


@app.command()
def retry(
    service: Service = None,
    ids: Ids = None,
    error: Text = None,
    dry_run: DryRun = False,
    state: StateOption = None,
) -> None:
    """Publish parked records again, unchanged: after the reason is mended. Safe to repeat."""
    _act("retry", parked.Choice(service, tuple(ids or ()), error), state, dry_run=dry_run)


@app.command()
def drop(
    service: Service = None,
    ids: Ids = None,
    error: Text = None,
    dry_run: DryRun = False,
    state: StateOption = None,
) -> None:
    """Forget parked records. Name them: `--id` or `--error`."""
    choice = parked.Choice(service, tuple(ids or ()), error)
    if not choice.ids and choice.error is None:
        typer.echo("chfw parked drop: say which, with --id or --error", err=True)
        raise typer.Exit(2)
    _act("drop", choice, state, dry_run=dry_run)


def _act(verb: str, choice: parked.Choice, state: StateOption, *, dry_run: bool) -> None:
    try:
        found = asyncio.run(_do(verb, choice, StackRecord.read(chosen_state(state)), dry_run=dry_run))
    except TOLD as error:
        typer.echo(f"chfw parked: {error}", err=True)
        raise typer.Exit(2) from error
    for record in found:
        where = f"{record.topic}/{record.partition}@{record.offset}"
        typer.echo(f"{record.service:<12} {record.id:>6}  {where:<32} {record.kind:<10} {record.error}")
    done = {"list": "parked", "retry": "published again", "drop": "dropped"}[verb]
    typer.echo(f"{len(found)} {'would be ' if dry_run and verb != 'list' else ''}{done}")


async def _do(verb: str, choice: parked.Choice, stack: StackRecord, *, dry_run: bool) -> list[parked.ParkedRecord]:
    connection = await asyncpg.connect(stack.admin_dsn, database=DATABASE)
    try:
        found = await parked.find(connection, choice)
        if not dry_run and verb == "retry":
            await parked.retry(connection, stack.bootstrap, found)
        if not dry_run and verb == "drop":
            await parked.drop(connection, found)
    finally:
        await connection.close()
    return found
