"""Who may touch what in the database: a role per service that writes its own schema and reads published views.

Everything belongs to `chfw_owner`, who may not log in and is no superuser: a view or a function that runs with the
rights of its owner reaches the schemas of the services and nothing of the server.
"""

import secrets
from collections.abc import Mapping
from types import MappingProxyType

from chfw_common.published.readers import READERS
from chfw_common.runtime.access import grant_access, make_roles, role_of
from chfw_common.runtime.database import LIMITS
from chfw_common.runtime.migrations import migrate
from chfw_common.runtime.passwords import scram_verifier
from chfw_common.runtime.service import Tx
from chfw_common.topology import SERVICES

CLOCK_SCHEMA = """
create schema if not exists chfw_clock;
create table if not exists chfw_clock.pace (
    one boolean primary key check (one),
    anchor_machine timestamptz not null,
    anchor_story timestamptz not null,
    rate double precision not null check (rate >= 0),
    hold_at timestamptz not null
);
"""


OWNER = "chfw_owner"
SERVICES_GROUP = "chfw_services"
"""The roles of the services are members of it: what pg_hba.conf names. It has no rights of its own."""


async def install_schemas(
    tx: Tx, database: str, passwords: Mapping[str, str] = MappingProxyType({})
) -> dict[str, list[str]]:
    """Roles, schemas, migrations and grants of all services, in one transaction of a superuser. Safe to repeat.

    `passwords` (role -> password) are set; a role that is not among them keeps the one it has. Says which scripts ran
    for each service.
    """
    await tx.execute("select pg_advisory_xact_lock(7301)")
    await _install_roles(tx, database)
    for role, password in passwords.items():
        await tx.execute(f"""alter role "{role}" password '{scram_verifier(password, secrets.token_bytes(16))}'""")
    await tx.execute(f'set local role "{OWNER}"')
    ran = {service: await migrate(tx, service) for service in _owners_first()}
    await tx.execute(CLOCK_SCHEMA)
    await tx.execute("reset role")
    for service in _owners_first():
        await grant_access(tx, service)
        await tx.execute(f'grant usage on schema chfw_clock to "{role_of(service)}"')
        await tx.execute(f'grant select on chfw_clock.pace to "{role_of(service)}"')
    return ran


async def _install_roles(tx: Tx, database: str) -> None:
    """The owner, who passes row-level security by as the superuser does, and two roles for each service."""
    await _create_role(tx, OWNER, "nologin bypassrls")
    await _create_role(tx, SERVICES_GROUP, "nologin")
    await tx.execute(f'revoke all on database "{database}" from public')
    await tx.execute(f'grant create on database "{database}" to "{OWNER}"')
    await make_roles(tx)
    for service in SERVICES:
        role = role_of(service)
        await tx.execute(f'grant "{SERVICES_GROUP}" to "{role}"')
        await tx.execute(f'grant connect on database "{database}" to "{role}"')
        for name, value in LIMITS.items():
            await tx.execute(f"""alter role "{role}" set {name} = '{value}'""")


async def _create_role(tx: Tx, role: str, attributes: str) -> None:
    if not await tx.fetchval("select exists (select 1 from pg_roles where rolname = $1)", role):
        await tx.execute(f'create role "{role}" {attributes}')


def _owners_first() -> list[str]:
    """Services that publish views first, so that a view may build on another's."""
    return sorted(SERVICES, key=lambda service: (service not in READERS, SERVICES.index(service)))
