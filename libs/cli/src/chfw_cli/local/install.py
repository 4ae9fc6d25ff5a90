"""What a fresh Postgres and Kafka need to be ours: database, roles and schemas, topics, the key that signs tokens."""

import asyncpg

from chfw_cli.local.services import DATABASE
from chfw_cli.local.state import StateDir
from chfw_cli.tokens import Issuer
from chfw_common.runtime.clock import machine_now, set_first_pace
from chfw_common.runtime.kafka.topics import create_topics
from chfw_common.runtime.roles import install_schemas


async def install(admin_dsn: str, bootstrap: str, state: StateDir) -> None:
    """Create what is missing and bring schemas up to date. Safe to repeat."""
    await install_database(admin_dsn, DATABASE)
    await create_topics(bootstrap)
    Issuer.open(state.keys)


async def install_paced(admin_dsn: str, bootstrap: str, state: StateDir) -> None:
    """The same for services on the paced clock. Where nobody has set it, it stands still at the machine's time."""
    await install(admin_dsn, bootstrap, state)
    owner = await asyncpg.connect(admin_dsn, database=DATABASE)
    try:
        await set_first_pace(owner, machine_now())
    finally:
        await owner.close()


async def install_database(admin_dsn: str, database: str) -> None:
    """Create the database when it is missing, and install every service's schema in it."""
    admin = await asyncpg.connect(admin_dsn)
    try:
        if not await admin.fetchval("select exists (select 1 from pg_database where datname = $1)", database):
            await admin.execute(f"create database \"{database}\" template template0 encoding 'UTF8' locale 'C'")
    finally:
        await admin.close()
    owner = await asyncpg.connect(admin_dsn, database=database)
    try:
        async with owner.transaction():
            await install_schemas(owner, database)
    finally:
        await owner.close()
