"""Who may touch what in the database: a role per service that writes its own schema and reads published views."""

from chfw_common.published.readers import READERS
from chfw_common.runtime.database import LIMITS
from chfw_common.runtime.migrations import migrate
from chfw_common.runtime.service import Tx
from chfw_common.topology import SERVICES, schema_of

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


async def install_schemas(tx: Tx, database: str) -> dict[str, list[str]]:
    """Roles, schemas, migrations and grants of all services, in one transaction of the owner. Safe to repeat.

    Says which scripts ran for each service.
    """
    await tx.execute("select pg_advisory_xact_lock(7301)")
    for service in SERVICES:
        role = f"chfw_{schema_of(service)}"
        if not await tx.fetchval("select exists (select 1 from pg_roles where rolname = $1)", role):
            await tx.execute(f'create role "{role}" login')
        await tx.execute(f'grant connect on database "{database}" to "{role}"')
        for name, value in LIMITS.items():
            await tx.execute(f"""alter role "{role}" set {name} = '{value}'""")
    ran = {service: await migrate(tx, service) for service in _owners_first()}
    await tx.execute(CLOCK_SCHEMA)
    for service in SERVICES:
        schema, role = schema_of(service), f"chfw_{schema_of(service)}"
        await tx.execute(f'grant usage on schema "{schema}", chfw_clock to "{role}"')
        await tx.execute(f'grant select, insert, update, delete on all tables in schema "{schema}" to "{role}"')
        # An insert needs no right to the sequence of an identity column; the relay looks at this one.
        await tx.execute(f'grant usage on sequence "{schema}".outbox_id_seq to "{role}"')
        await tx.execute(f'grant select on chfw_clock.pace to "{role}"')
    for owner, readers in READERS.items():
        for reader in readers:
            role = f"chfw_{schema_of(reader)}"
            await tx.execute(f'grant usage on schema "{schema_of(owner)}_published" to "{role}"')
            await tx.execute(f'grant select on all tables in schema "{schema_of(owner)}_published" to "{role}"')
    return ran


def _owners_first() -> list[str]:
    """Services that publish views first, so that a view may build on another's."""
    return sorted(SERVICES, key=lambda service: (service not in READERS, SERVICES.index(service)))
