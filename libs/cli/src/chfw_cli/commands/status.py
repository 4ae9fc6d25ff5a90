"""`chfw status`: how the processes of the running stack do."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table

from chfw_cli.commands.errors import TOLD
from chfw_cli.commands.options import StateOption, chosen_state
from chfw_cli.local import proc
from chfw_cli.local.probes import why_not_ready
from chfw_cli.local.record import StackRecord, read_processes
from chfw_cli.local.supervisor import ProcessStatus

_UNLIMITED = 10_000
"""Columns that no line of a table needs."""


def status(
    state: StateOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show each process: whether it is up and ready, its restarts and memory.

    Exit code 1 unless every process of the stack is up and ready, those that have not been started yet included.
    """
    directory = chosen_state(state)
    try:
        record = StackRecord.read(directory)
    except TOLD as error:
        typer.echo(json.dumps({"up": False}) if as_json else str(error))
        raise typer.Exit(1) from error
    processes = read_processes(directory)
    missing = missing_of(record, processes)
    if as_json:
        reasons = asyncio.run(_reasons(processes, record))
        listed = [{**_shown(process), "why": reasons.get(process.name)} for process in processes]
        typer.echo(json.dumps({"up": True, **asdict(record), "processes": listed, "missing": missing}, indent=2))
    else:
        print_whole(_table(processes, missing, record), Console())
        for name, reason in asyncio.run(_reasons(processes, record)).items():
            typer.echo(f"not ready: {name}: {reason}")
    if missing or not all(process.ready and is_up(process) for process in processes):
        raise typer.Exit(1)


def missing_of(record: StackRecord, processes: Sequence[ProcessStatus]) -> list[str]:
    """The processes of the stack that the supervisor does not list: they have not been started, or were given up."""
    listed = {process.name for process in processes}
    return [name for name in record.expected if name not in listed]


def print_whole(table: Table, console: Console) -> None:
    """Print a table without cutting anything: lines may be longer than the terminal is wide, or than the 80 columns
    that a pipe counts as."""
    unlimited = console.options.update(width=_UNLIMITED)
    console.width = max(console.width, console.measure(table, options=unlimited).maximum)
    console.print(table)


def is_up(process: ProcessStatus) -> bool:
    """Whether the process runs at this moment."""
    return process.pid is not None and proc.alive(process.pid)


async def _reasons(processes: tuple[ProcessStatus, ...], record: StackRecord) -> dict[str, str]:
    """Process -> the reason that it gives for not being ready."""
    urls = record.operator_urls
    ports = {p.name: urlsplit(urls[p.name]).port for p in processes if not p.ready and p.name in urls}
    told = await asyncio.gather(*(why_not_ready(port) for port in ports.values() if port))
    return {name: reason for name, reason in zip(ports, told, strict=True) if reason}


def _shown(process: ProcessStatus) -> dict[str, object]:
    return {**asdict(process), "up": is_up(process)}


def _table(processes: Sequence[ProcessStatus], missing: Sequence[str], record: StackRecord) -> Table:
    addresses = {"postgres": record.admin_dsn, "kafka": record.bootstrap, **record.urls}
    table = Table("process", "pid", "up", "ready", "restarts", "MB", "peak MB", "address", "for operators")
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
            record.operator_urls.get(process.name, ""),
        )
    for name in missing:
        table.add_row(name, "-", "no", "no", "-", "-", "-", addresses.get(name, ""), record.operator_urls.get(name, ""))
    return table
