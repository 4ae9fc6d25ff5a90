"""`chfw audit`: the audit logs of the services, and whether they still say what was written."""

from typing import Annotated, Any

import typer

from chfw_cli import audit
from chfw_cli.commands.options import StateOption, chosen_state
from chfw_cli.commands.waiting import Service, on_stack
from chfw_cli.local.record import StackRecord
from chfw_common.kernel.instants import format_instant
from chfw_common.runtime.audit.log import read_records
from chfw_common.runtime.audit.record import Record, compact
from chfw_common.topology import SERVICES, schema_of

app = typer.Typer(help="Who changed what: the audit logs of the services.", no_args_is_help=True)


@app.command()
def verify(service: Service = None, state: StateOption = None) -> None:
    """Check every record against its chain and the signed checkpoints; name the first that is not as it was written."""
    services = _services(service)
    checkpoints, wrong = audit.known_checkpoints(chosen_state(state), services)

    async def work(connection: Any, _: StackRecord) -> tuple[dict[str, int], list[str]]:
        return await audit.verify_logs(connection, checkpoints, services)

    counts, found = on_stack("chfw audit verify", state, work)
    for name, count in counts.items():
        known = checkpoints.get(name, [])
        covered = known[-1].seq if known else 0
        typer.echo(f"{name:<12} {count} records, {len(known)} checkpoints, the last at record {covered}")
    for fault in (*wrong, *found):
        typer.echo(fault, err=True)
    if wrong or found:
        raise typer.Exit(1)


@app.command()
def show(
    service: Annotated[str, typer.Option(help="Whose log.")],
    after: Annotated[int, typer.Option(help="Begin behind this record.")] = 0,
    limit: Annotated[int, typer.Option(help="At most so many records.")] = 100,
    state: StateOption = None,
) -> None:
    """Show records, a line of JSON each."""
    (name,) = _services(service)

    async def work(connection: Any, _: StackRecord) -> list[Record]:
        async with connection.transaction(readonly=True):
            await connection.execute(f"set local search_path to {schema_of(name)}")
            return await read_records(connection, schema_of(name), after=after, limit=limit)

    for record in on_stack("chfw audit show", state, work):
        typer.echo(_line(record))


def _line(record: Record) -> str:
    entry = record.entry
    return compact(
        {
            "seq": record.seq,
            "at": format_instant(entry.at),
            "party": entry.party,
            "user_id": entry.user_id,
            "role": entry.role,
            "token": entry.token,
            "request": entry.request,
            "action": entry.action,
            "subject": entry.subject,
            "before": entry.before,
            "after": entry.after,
            "hash": record.hash.hex(),
        }
    )


def _services(service: str | None) -> tuple[str, ...]:
    if service is not None and service not in SERVICES:
        raise typer.BadParameter(f"no service is called {service}", param_hint="--service")
    return SERVICES if service is None else (service,)
