"""`chfw aside`: work that failed again and again and waits for a person."""

from pathlib import Path
from typing import Any

import typer

from chfw_cli import aside
from chfw_cli.chosen import Choice
from chfw_cli.commands.options import StateOption
from chfw_cli.commands.waiting import DryRun, Ids, Service, Text, chosen, on_stack
from chfw_cli.local.record import StackRecord

app = typer.Typer(help="Work that a service has set aside: hubs of a tick, jobs.", no_args_is_help=True)


@app.command("list")
def listing(service: Service = None, ids: Ids = None, error: Text = None, state: StateOption = None) -> None:
    """List the work."""
    _act("list", chosen("chfw aside list", service, ids, error), state, dry_run=True)


@app.command()
def retry(
    service: Service = None,
    ids: Ids = None,
    error: Text = None,
    dry_run: DryRun = False,
    state: StateOption = None,
) -> None:
    """Have work tried again: after the reason is mended."""
    _act("retry", chosen("chfw aside retry", service, ids, error), state, dry_run=dry_run)


def _act(verb: str, choice: Choice, state: Path | None, *, dry_run: bool) -> None:
    async def work(connection: Any, _: StackRecord) -> list[aside.SetAside]:
        found = await aside.find(connection, choice)
        if not dry_run and verb == "retry":
            await aside.retry(connection, found)
        return found

    found = on_stack(f"chfw aside {verb}", state, work)
    for piece in found:
        typer.echo(f"{piece.name:<18} {piece.tick:<12} {piece.work}  {piece.error}")
    what = {"list": "set aside", "retry": "tried again within seconds"}[verb]
    typer.echo(f"{len(found)} {'would be ' if dry_run and verb != 'list' else ''}{what}")
