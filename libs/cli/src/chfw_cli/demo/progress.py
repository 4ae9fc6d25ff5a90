"""A bar on a terminal while the story runs: hubs that have come to an end, the rate, and the time left."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from chfw_cli.demo.backlog import AWAY, ENDED
from chfw_cli.demo.tell import Say

LOOK_EVERY = 0.5
DONE = "select count(*) as enrolled, count(*) filter (where state = any($1)) as done from scheduler.ledger"


@contextlib.asynccontextmanager
async def progress_bar(dsn: str, console: Console) -> AsyncIterator[Say]:
    """Shows the bar until left, and gives a way to say lines above it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("hubs done", total=None, rate=0.0)
        looking = asyncio.create_task(_follow(dsn, progress, task))
        try:
            yield lambda line: progress.console.print(line, highlight=False)
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking


async def _follow(dsn: str, progress: Progress, task: Any) -> None:
    """Look at the ledger twice a second; while Postgres is away the bar stands still."""
    while True:
        with contextlib.suppress(*AWAY):
            connection = await asyncpg.connect(dsn, timeout=5)
            try:
                while True:
                    row = await connection.fetchrow(DONE, ENDED)
                    speed = progress.tasks[task].speed or 0.0
                    progress.update(task, total=row["enrolled"] or None, completed=row["done"], rate=speed)
                    await asyncio.sleep(LOOK_EVERY)
            finally:
                connection.terminate()
        await asyncio.sleep(LOOK_EVERY)
