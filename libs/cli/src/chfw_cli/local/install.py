"""What a fresh Postgres and Kafka need to be ours: database, roles, schemas, topics, rights, and keys to sign with."""

import asyncpg

from chfw_cli.audit import make_key
from chfw_cli.local.kafka import KafkaServer
from chfw_cli.local.postgres import PostgresServer
from chfw_cli.local.services import DATABASE, SERVICES
from chfw_cli.local.state import StateDir
from chfw_cli.tokens import Issuer
from chfw_common.runtime.access import role_of
from chfw_common.runtime.clock import machine_now, set_first_pace
from chfw_common.runtime.kafka.rights import install_rights
from chfw_common.runtime.kafka.topics import create_topics
from chfw_common.runtime.passwords import read_secret
from chfw_common.runtime.roles import install_schemas


async def install(postgres: PostgresServer, kafka: KafkaServer, state: StateDir) -> None:
    """Create what is missing and bring schemas and rights up to date. Safe to repeat."""
    await install_database(postgres, DATABASE)
    await create_topics(kafka.access())
    await install_rights(kafka.access())
    Issuer.open(state.keys)
    make_key(state)


async def install_paced(postgres: PostgresServer, kafka: KafkaServer, state: StateDir) -> None:
    """The same for services on the paced clock. Where nobody has set it, it stands still at the machine's time."""
    await install(postgres, kafka, state)
    owner = await asyncpg.connect(postgres.dsn(DATABASE))
    try:
        await set_first_pace(owner, machine_now())
    finally:
        await owner.close()


async def install_database(postgres: PostgresServer, database: str) -> None:
    """Create the database when it is missing, install every service's schema in it, and give each role the password in
    its file."""
    admin = await asyncpg.connect(postgres.dsn())
    try:
        if not await admin.fetchval("select exists (select 1 from pg_database where datname = $1)", database):
            await admin.execute(f"create database \"{database}\" template template0 encoding 'UTF8' locale 'C'")
    finally:
        await admin.close()
    owner = await asyncpg.connect(postgres.dsn(database))
    try:
        async with owner.transaction():
            await install_schemas(owner, database, role_passwords(postgres))
    finally:
        await owner.close()


def role_passwords(postgres: PostgresServer) -> dict[str, str]:
    """Role of a service -> the password in its file."""
    return {role: read_secret(postgres.password_file(role)) for role in map(role_of, SERVICES)}
