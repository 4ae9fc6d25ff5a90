"""`chfw demo`: a whole roll-out on real servers, and a reconciliation of what came of it."""

import asyncio
import signal
from typing import Annotated

import typer

from chfw_cli.commands.errors import TOLD
from chfw_cli.commands.options import StateOption, chosen_state
from chfw_cli.demo.live import demonstrate
from chfw_cli.demo.report import Report
from chfw_cli.local.state import StateDir


def demo(
    hubs: Annotated[int, typer.Option(help="Hubs in the estate.", min=100)] = 100_000,
    seed: Annotated[int, typer.Option(help="The same seed draws the same estate and tells the same story.")] = 1,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output, and no more.")
    ] = False,
    chaos: Annotated[bool, typer.Option("--chaos", help="kill -9 every service, the broker and the database.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything up at the end, until Ctrl-C.")] = False,
    state: StateOption = None,
) -> None:
    """Roll firmware out to simulated hubs through six processes, then reconcile. Exit 0 only if all agrees."""
    chosen = chosen_state(state)
    place = StateDir(chosen.root.with_name(chosen.root.name + "-demo"))
    try:
        report = asyncio.run(_run(place, hubs=hubs, seed=seed, chaos=chaos, keep=keep, json=json))
    except TOLD as error:
        typer.echo(f"chfw demo: {error}", err=True)
        raise typer.Exit(2) from error
    if report is None:
        raise typer.Exit(130)
    raise typer.Exit(0 if report.ok else 1)


async def _run(place: StateDir, *, hubs: int, seed: int, chaos: bool, keep: bool, json: bool) -> Report | None:
    """The report, or None when Ctrl-C came first: then everything is ended all the same."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    telling = asyncio.create_task(
        demonstrate(
            place,
            hubs=hubs,
            seed_number=seed,
            chaos=chaos,
            say=lambda line: typer.echo(line, err=True),
            show=lambda report: typer.echo(report.as_json() if json else "\n".join(report.lines())),
            until_asked=asked if keep else None,
        )
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    waiting = asyncio.create_task(asked.wait())
    await asyncio.wait({telling, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if not telling.done() and not keep:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        return None
    waiting.cancel()
    return await telling
