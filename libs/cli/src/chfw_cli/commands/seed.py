"""`chfw seed`: load a believable estate into a running system."""

import asyncio
from typing import Annotated

import typer

from chfw_cli.commands.errors import TOLD
from chfw_cli.commands.options import StateOption, chosen_state
from chfw_cli.demo.client import Client, over_network
from chfw_cli.demo.estate import draw_estate
from chfw_cli.demo.story import write_story
from chfw_cli.demo.tell import seed as load
from chfw_cli.local.record import StackRecord
from chfw_cli.local.state import StateDir
from chfw_cli.tokens import Issuer


def seed(
    hubs: Annotated[int, typer.Option(help="Hubs in the estate.", min=1)] = 5_000,
    seed_number: Annotated[int, typer.Option("--seed", help="The same seed draws the same estate.")] = 1,
    state: StateOption = None,
) -> None:
    """Load hubs through the bulk commands of the inventory and the simulated network. Safe to repeat."""
    try:
        asyncio.run(_load(chosen_state(state), hubs, seed_number))
    except TOLD as error:
        typer.echo(f"chfw seed: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(f"{hubs:,} hubs of seed {seed_number} are loaded")


async def _load(place: StateDir, hubs: int, seed_number: int) -> None:
    record = StackRecord.read(place)
    client = Client(over_network(record.urls, record.operator_urls), Issuer.open(place.keys))
    try:
        await load(client, write_story(draw_estate(seed_number, hubs)))
    finally:
        await client.close()
