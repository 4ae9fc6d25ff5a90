"""`chfw lines`: decisions and notices that came out of line, and what a person gives up for them."""

from typing import Annotated, Any

import typer

from chfw_cli import lines
from chfw_cli.commands.options import StateOption
from chfw_cli.commands.waiting import DryRun, Ids, Service, Text, chosen, on_stack
from chfw_cli.local.record import StackRecord
from chfw_common.runtime.accepting import Decision
from chfw_common.runtime.clock import machine_now

app = typer.Typer(help="Decisions and notices that came out of line: their release stands still.", no_args_is_help=True)


@app.command("list")
def listing(service: Service = None, ids: Ids = None, error: Text = None, state: StateOption = None) -> None:
    """List them, under the names of their parked records: those are retried and dropped with `chfw parked`."""

    async def work(connection: Any, _: StackRecord) -> list[lines.OutOfLine]:
        return await lines.find(connection, choice)

    choice = chosen("chfw lines list", service, ids, error)
    found = on_stack("chfw lines list", state, work)
    for one in found:
        typer.echo(f"{one.name:<18} {one.topic:<18} {one.release_id}: {one.error}")
    typer.echo(f"{len(found)} out of line")


@app.command("give-up")
def give_up(
    ids: Annotated[list[str], typer.Option("--id", help="Only these: SERVICE:NUMBER, as list shows them.")],
    reason: Annotated[str, typer.Option(help="Why what is missing will never come. It is kept.")],
    decided_by: Annotated[str, typer.Option("--by", help="Who decides. It is kept.")],
    dry_run: DryRun = False,
    state: StateOption = None,
) -> None:
    """Give up what is missing before records, for good. Then hand them in again: `chfw parked retry`."""
    if not reason.strip() or not decided_by.strip():
        typer.echo("chfw lines give-up: say why (--reason) and who decides (--by)", err=True)
        raise typer.Exit(2)
    choice = chosen("chfw lines give-up", None, ids, None, named=True)
    decision = Decision(reason.strip(), decided_by.strip(), machine_now())

    async def work(connection: Any, _: StackRecord) -> list[lines.OutOfLine]:
        found = await lines.find(connection, choice)
        if not dry_run:
            await lines.give_up(connection, found, decision)
        return found

    try:
        found = on_stack("chfw lines give-up", state, work)
    except lines.TooManyError as error:
        typer.echo(f"chfw lines give-up: {error}", err=True)
        raise typer.Exit(2) from error
    for one in found:
        missing = ", ".join(map(str, one.missing)) or "nothing"
        typer.echo(f"{one.name:<18} {one.topic:<18} {one.release_id}: {missing}")
    typer.echo(f"{sum(len(one.missing) for one in found)} {'would be ' if dry_run else ''}given up")
