"""`chfw down`: end the stack that `up` runs in another terminal."""

import contextlib
import os
import signal
import time

import typer

from chfw_cli.commands.errors import TOLD
from chfw_cli.commands.options import StateOption, chosen_state
from chfw_cli.local import proc
from chfw_cli.local.record import StackRecord

_LIMIT = 15.0
_INTERVAL = 0.05


def down(state: StateOption = None) -> None:
    """End what `up` runs, and wait until it is gone."""
    try:
        record = StackRecord.read(chosen_state(state))
    except TOLD as error:
        typer.echo(str(error))
        return
    if not end(record.supervisor_pid):
        typer.echo(f"process {record.supervisor_pid} does not end; `kill -9` it: its processes die with it", err=True)
        raise typer.Exit(1)
    typer.echo("ended")


def end(pid: int) -> bool:
    """Ask the process to end; whether it did within the limit."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _LIMIT
    while proc.alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(_INTERVAL)
    return True
