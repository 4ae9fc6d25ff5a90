"""What the commands about things that wait for a person share: options, and how they reach Postgres."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import asyncpg
import typer

from chfw_cli.chosen import Choice, ChoiceError, choose
from chfw_cli.commands.errors import TOLD
from chfw_cli.commands.options import chosen_state
from chfw_cli.local.record import StackRecord
from chfw_cli.local.services import DATABASE

Service = Annotated[str | None, typer.Option(help="Only those of this service.")]
Ids = Annotated[list[str] | None, typer.Option("--id", help="Only these: SERVICE:NUMBER, as list shows them.")]
Text = Annotated[str | None, typer.Option("--error", help="Only those whose error contains this text.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]

T = TypeVar("T")


def chosen(
    command: str, service: str | None, ids: list[str] | None, error: str | None, *, named: bool = False
) -> Choice:
    """The choice of a command's options; `named`: it must say which rows. Ends the command with 2 when it does not."""
    try:
        choice = choose(service, ids, error)
    except ChoiceError as wrong:
        typer.echo(f"{command}: {wrong}", err=True)
        raise typer.Exit(2) from wrong
    if named and not choice.names_rows:
        typer.echo(f"{command}: say which, with --id or --error", err=True)
        raise typer.Exit(2)
    return choice


def on_stack(command: str, state: Path | None, work: Callable[[Any, StackRecord], Awaitable[T]]) -> T:
    """What the work gives, on the database of the running stack. Ends the command with 2 when none is running."""
    try:
        stack = StackRecord.read(chosen_state(state))
        return asyncio.run(_connected(stack, work))
    except TOLD as error:
        typer.echo(f"{command}: {error}", err=True)
        raise typer.Exit(2) from error


async def _connected(stack: StackRecord, work: Callable[[Any, StackRecord], Awaitable[T]]) -> T:
    connection = await asyncpg.connect(stack.admin_dsn, database=DATABASE)
    try:
        return await work(connection, stack)
    finally:
        await connection.close()
