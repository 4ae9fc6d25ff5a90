"""`chfw status`: how the processes of the running stack do."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from chfw_cli.commands.errors import TOLD
from chfw_cli.commands.options import StateOption, chosen_state
from chfw_cli.local import proc
from chfw_cli.local.record import StackRecord, read_processes
from chfw_cli.local.supervisor import ProcessStatus


def status(
    state: StateOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show each process: whether it is up and ready, its restarts and memory. Exit code 1 unless all are ready."""
    directory = chosen_state(state)
    try:
        record = StackRecord.read(directory)
    except TOLD as error:
        typer.echo(json.dumps({"up": False}) if as_json else str(error))
        raise typer.Exit(1) from error
    processes = read_processes(directory)
    if as_json:
        typer.echo(json.dumps({"up": True, **asdict(record), "processes": [_shown(p) for p in processes]}, indent=2))
    else:
        Console().print(_table(processes, record))
    if not processes or not all(process.ready for process in processes):
        raise typer.Exit(1)


def is_up(process: ProcessStatus) -> bool:
    """Whether the process runs at this moment."""
    return process.pid is not None and proc.alive(process.pid)


def _shown(process: ProcessStatus) -> dict[str, object]:
    return {**asdict(process), "up": is_up(process)}


def _table(processes: tuple[ProcessStatus, ...], record: StackRecord) -> Table:
    addresses = {"postgres": record.admin_dsn, "kafka": record.bootstrap, **record.urls}
    table = Table("process", "pid", "up", "ready", "restarts", "MB", "peak MB", "address")
    for process in processes:
        table.add_row(
            process.name,
            str(process.pid or "-"),
            "yes" if is_up(process) else "no",
            "yes" if process.ready else "no",
            str(process.restarts),
            f"{process.rss_mb:.0f}",
            f"{process.peak_rss_mb:.0f}",
            addresses.get(process.name, ""),
        )
    return table
