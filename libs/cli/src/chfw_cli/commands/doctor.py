"""`chfw doctor`: can `up` work on this machine?"""

import typer

from chfw_cli.commands.options import StateOption, chosen_state
from chfw_cli.local.checks import examine


def doctor(state: StateOption = None) -> None:
    """Check what `up` needs, one line each, with the cure for what is bad. Exit code 1 when anything is."""
    findings = examine(chosen_state(state))
    for finding in findings:
        typer.echo(f"{'OK ' if finding.good else 'BAD'} {finding.subject:<10} {finding.found}")
        if not finding.good:
            typer.echo(f"    -> {finding.cure}")
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)
