"""`chfw up`: run everything in the foreground."""

import asyncio
import signal
import sys
import time
from typing import Annotated

import typer

from chfw_cli.commands.errors import TOLD
from chfw_cli.commands.options import StateOption, chosen_state
from chfw_cli.local.kafka import KafkaServer
from chfw_cli.local.output import stderr_echo
from chfw_cli.local.postgres import PostgresServer
from chfw_cli.local.probes import why_not_ready
from chfw_cli.local.services import SERVICES, ClockName, operator_port
from chfw_cli.local.stack import Stack
from chfw_cli.local.state import StateDir


def up(
    state: StateOption = None,
    clock: Annotated[
        ClockName, typer.Option(help="The clock of the services; `paced` stands still until a driver moves it.")
    ] = "real",
    servers_only: Annotated[bool, typer.Option("--servers-only", help="Only Postgres and Kafka, empty.")] = False,
) -> None:
    """Run Postgres, Kafka and the services until Ctrl-C. Ending takes at most 10 s; a second Ctrl-C kills."""
    try:
        stack = Stack(
            chosen_state(state),
            clock=clock,
            services=() if servers_only else SERVICES,
            prepare=_nothing if servers_only else None,
            echo=stderr_echo(colour=sys.stderr.isatty()),
            patient=True,
        )
        asyncio.run(run_until_asked(stack))
    except TOLD as error:
        typer.echo(f"chfw up: {error}", err=True)
        raise typer.Exit(1) from error


async def run_until_asked(stack: Stack) -> None:
    """Run the stack until SIGINT or SIGTERM, also while it starts. The second signal kills everything."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask() -> None:
        if asked.is_set():
            stack.kill_all()
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask)
    began = time.monotonic()
    starting = asyncio.create_task(stack.start())
    waiting = asyncio.create_task(asked.wait())
    await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        try:
            await starting
            _tell_up(stack, time.monotonic() - began)
            await _tell_unready(stack)
            await waiting
        finally:
            waiting.cancel()
        typer.echo("ending", err=True)
        await stack.stop()
    else:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)


def _tell_up(stack: Stack, took: float) -> None:
    typer.echo(f"up in {took:.1f} s; Ctrl-C ends everything")
    typer.echo(f"  state     {stack.state.root}")
    typer.echo(f"  postgres  {stack.admin_dsn}")
    typer.echo(f"  kafka     {stack.kafka.bootstrap}")
    typer.echo(f"  secrets   {stack.state.secrets}")
    for name, url in stack.urls.items():
        typer.echo(f"  {name:<11} {url}, for operators {stack.operator_urls[name]}")
    if stack.clock == "paced":
        typer.echo("  clock     paced: it stands at `hold_at` of the row chfw_clock.pace until that is moved")


async def _tell_unready(stack: Stack) -> None:
    for process in stack.status():
        if not process.ready and process.name in stack.urls:
            reason = await why_not_ready(operator_port(process.name, stack.state))
            typer.echo(f"  not ready: {process.name}: {reason or 'see its log'}", err=True)


async def _nothing(_postgres: PostgresServer, _kafka: KafkaServer, _state: StateDir) -> None:
    return
