"""`chfw token`: a signed token for trying things out."""

from typing import Annotated

import typer

from chfw_cli.commands.options import StateOption, chosen_state
from chfw_cli.demo.estate import user_id
from chfw_cli.tokens import Issuer
from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.roles import SUPPLIER_ROLES, Role

OTHER_USER = "90-B3-D5-1F-30-00-00-02"


def token(
    party: Annotated[str, typer.Argument(help="The Party, e.g. SUP01 of the demonstration.")],
    role: Annotated[Role, typer.Option(help="The role of the User ID.")] = Role.IMPORT_SUPPLIER,
    user: Annotated[str | None, typer.Option("--user-id", help="The User ID; a seeded Party has one per role.")] = None,
    state: StateOption = None,
) -> None:
    """Print a bearer token, valid for an hour, signed with the key of the state directory."""
    if user is None:
        user = user_id(PartyId(party), role) if role in SUPPLIER_ROLES and party[3:].isdigit() else OTHER_USER
    issuer = Issuer.open(chosen_state(state).create().keys)
    typer.echo(issuer.token(PartyId(party), UserId(user), role))
