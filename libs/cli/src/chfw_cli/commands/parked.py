"""`chfw parked`: records that wait for a person."""

from pathlib import Path
from typing import Any

import typer

from chfw_cli import parked
from chfw_cli.chosen import Choice
from chfw_cli.commands.options import StateOption
from chfw_cli.commands.waiting import DryRun, Ids, Service, Text, chosen, on_stack
from chfw_cli.local.record import StackRecord

app = typer.Typer(help="Records that a service could not handle.", no_args_is_help=True)


@app.command("list")
def listing(service: Service = None, ids: Ids = None, error: Text = None, state: StateOption = None) -> None:
    """List parked records, one line each with the names of its copies."""
    _act("list", chosen("chfw parked list", service, ids, error), state, dry_run=True)


@app.command()
def retry(
    service: Service = None,
    ids: Ids = None,
    error: Text = None,
    dry_run: DryRun = False,
    state: StateOption = None,
) -> None:
    """Publish parked records again, each once and unchanged: after the reason is mended. Every reader gets them."""
    _act("retry", chosen("chfw parked retry", service, ids, error), state, dry_run=dry_run)


@app.command()
def drop(
    service: Service = None,
    ids: Ids = None,
    error: Text = None,
    dry_run: DryRun = False,
    state: StateOption = None,
) -> None:
    """Forget parked records. Name them, with --id or --error. A copy that another service has parked stays."""
    _act("drop", chosen("chfw parked drop", service, ids, error, named=True), state, dry_run=dry_run)


def _act(verb: str, choice: Choice, state: Path | None, *, dry_run: bool) -> None:
    async def work(connection: Any, stack: StackRecord) -> tuple[list[parked.ParkedRecord], list[parked.ParkedRecord]]:
        found = await parked.find(connection, choice)
        done = found
        if not dry_run and verb == "retry":
            done = await parked.retry(connection, stack.kafka, found)
        if not dry_run and verb == "drop":
            await parked.drop(connection, found)
        return found, done

    found, done = on_stack(f"chfw parked {verb}", state, work)
    for record in found:
        names = ",".join(copy.name for copy in record.copies if copy.chosen or verb != "drop")
        where = f"{record.topic}/{record.partition}@{record.offset}"
        typer.echo(f"{names:<24} {where:<32} {record.copies[0].kind:<10} {record.errors}")
        if verb == "retry" and not record.may_be_published:
            typer.echo("  cannot be published: the name of a header is not UTF-8. Drop it.")
    what = {"list": "parked", "retry": "published again", "drop": "dropped"}[verb]
    typer.echo(f"{len(done)} {'would be ' if dry_run and verb != 'list' else ''}{what}")
