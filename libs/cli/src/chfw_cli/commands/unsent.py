"""`chfw unsent`: events that the broker refused and that wait for a person."""

from pathlib import Path
from typing import Any

import typer

from chfw_cli import unsent
from chfw_cli.chosen import Choice
from chfw_cli.commands.options import StateOption
from chfw_cli.commands.waiting import DryRun, Ids, Service, Text, chosen, on_stack
from chfw_cli.local.record import StackRecord

app = typer.Typer(help="Events that the broker refused.", no_args_is_help=True)


@app.command("list")
def listing(service: Service = None, ids: Ids = None, error: Text = None, state: StateOption = None) -> None:
    """List the events."""
    _act("list", chosen("chfw unsent list", service, ids, error), state, dry_run=True)


@app.command()
def retry(
    service: Service = None,
    ids: Ids = None,
    error: Text = None,
    dry_run: DryRun = False,
    state: StateOption = None,
) -> None:
    """Send events again, under their old ids: after the reason is mended. They come after later ones of their key."""
    _act("retry", chosen("chfw unsent retry", service, ids, error), state, dry_run=dry_run)


@app.command()
def drop(
    service: Service = None,
    ids: Ids = None,
    error: Text = None,
    dry_run: DryRun = False,
    state: StateOption = None,
) -> None:
    """Forget events: nobody will ever be told. Name them, with --id or --error."""
    _act("drop", chosen("chfw unsent drop", service, ids, error, named=True), state, dry_run=dry_run)


def _act(verb: str, choice: Choice, state: Path | None, *, dry_run: bool) -> None:
    async def work(connection: Any, _: StackRecord) -> list[unsent.UnsentEvent]:
        found = await unsent.find(connection, choice)
        if not dry_run and verb == "retry":
            await unsent.send_again(connection, found)
        if not dry_run and verb == "drop":
            await unsent.drop(connection, found)
        return found

    found = on_stack(f"chfw unsent {verb}", state, work)
    for event in found:
        where = f"{event.topic}/{event.partition}"
        typer.echo(f"{event.name:<18} {where:<24} {event.bytes:>9} bytes  {event.event_id}  {event.error}")
    what = {"list": "unsent", "retry": "put back into the outbox", "drop": "dropped"}[verb]
    typer.echo(f"{len(found)} {'would be ' if dry_run and verb != 'list' else ''}{what}")
