"""`chfw simulate`: the story of the demonstration on virtual time, in this process."""

from typing import Annotated

import typer

from chfw_cli.commands.errors import TOLD
from chfw_cli.commands.options import StateOption, chosen_state
from chfw_cli.demo.simulate import simulate as run
from chfw_cli.local.state import StateDir
from chfw_common.runtime.process import run_process


def simulate(
    hubs: Annotated[int, typer.Option(help="Hubs in the estate.", min=100)] = 5_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same story and the same hash.")] = 1,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output, and no more.")
    ] = False,
    other_plans: Annotated[
        bool, typer.Option("--other-plans", help="Turn the planner's index scans and hash joins off: same hash.")
    ] = False,
    state: StateOption = None,
) -> None:
    """Run the whole roll-out on the local broker and a virtual clock, then reconcile. Exit 0 only if all agrees."""
    chosen = chosen_state(state)
    place = StateDir(chosen.root.with_name(chosen.root.name + "-simulation"))
    try:
        report = run_process(
            run(
                place, hubs=hubs, seed_number=seed, other_plans=other_plans, say=lambda line: typer.echo(line, err=True)
            )
        )
    except TOLD as error:
        typer.echo(f"chfw simulate: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(report.as_json() if json else "\n".join(report.lines()))
    raise typer.Exit(0 if report.ok else 1)
