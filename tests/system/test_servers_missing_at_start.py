"""A service whose servers are not there when it starts: it says what is missing and where, and goes on by itself."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from chfw_cli.local.services import module_of
from chfw_common.runtime.clock import machine_now, set_first_pace
from chfw_common.runtime.kafka.access import KafkaAccess, user_of
from chfw_common.runtime.kafka.rights import install_rights
from chfw_common.runtime.kafka.topics import create_topics
from chfw_common.runtime.passwords import read_secret
from chfw_common.runtime.roles import install_schemas
from chfw_common.topology import BY_NAME
from tests.support.databases import Databases, as_role, name_of
from tests.support.processes import Running, process_of
from tests.support.servers import RunningKafka, RunningPostgres
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.servers", "tests.support.databases"]

with_topics = pytest.mark.usefixtures("topics")
SECRET = "open-sesame"


def place(dsn: str) -> str:
    """What may be said of an address: where it is."""
    parts = urlsplit(dsn)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


@dataclass(frozen=True)
class Servers:
    """What a service is started on."""

    postgres: RunningPostgres
    kafka: RunningKafka
    keys: Path

    def on(self, dsn: str) -> dict[str, Any]:
        """The same with a database."""
        return {"dsn": dsn, "postgres": self.postgres, "kafka": self.kafka, "keys": self.keys}

    def nothing_secret(self, running: Running, service: str) -> None:
        """No password is in what the service wrote."""
        written = "".join(running.written)
        files = (
            self.postgres.server.password_file(module_of(service)),
            self.kafka.server.password_file(user_of(service)),
        )
        for file in files:
            assert read_secret(file) not in written


@pytest.fixture
def servers(postgres_server: RunningPostgres, kafka_server: RunningKafka, tmp_path: Path) -> Servers:
    """The session's servers, and a directory for keys."""
    return Servers(postgres_server, kafka_server, tmp_path)


async def execute(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def topics(kafka_server: RunningKafka) -> None:
    await create_topics(kafka_server.access)
    await install_rights(kafka_server.access)


@with_topics
async def test_without_postgres_it_waits_and_says_where(
    chfw_dsn: str, postgres_server: RunningPostgres, servers: Servers
) -> None:
    await asyncio.to_thread(postgres_server.stop)
    try:
        async with process_of("smi", **servers.on(chfw_dsn)) as running:
            line = await running.says("database_waits")
            await asyncio.to_thread(postgres_server.start)
            await running.ready()
            servers.nothing_secret(running, "smi")
    finally:
        if not await answers(postgres_server):
            await asyncio.to_thread(postgres_server.start)
    assert (line["event"], line["server"]) == ("Postgres is not there yet", place(chfw_dsn))
    assert line["level"] == "warning"


async def answers(server: RunningPostgres) -> bool:
    try:
        await execute(server.admin_dsn, "select 1")
    except OSError:
        return False
    return True


@with_topics
@pytest.mark.parametrize("service", ["smi", "scheduler"])
async def test_without_kafka_it_waits_and_says_where(
    service: str, chfw_dsn: str, kafka_server: RunningKafka, servers: Servers
) -> None:
    """The scheduler reads one topic through Faust."""
    await asyncio.to_thread(kafka_server.stop)
    started = False
    try:
        async with process_of(service, **servers.on(chfw_dsn)) as running:
            line = await running.says("broker_waits")
            assert await running.not_ready() == "a source has not polled yet"
            await asyncio.to_thread(kafka_server.start)
            started = True
            await running.ready()
            servers.nothing_secret(running, service)
    finally:
        if not started:
            await asyncio.to_thread(kafka_server.start)
    assert (line["event"], line["server"]) == ("Kafka is not there yet", kafka_server.bootstrap)


@pytest.mark.parametrize("service", ["smi", "scheduler"])
async def test_without_topics_it_waits_and_names_one(
    service: str, chfw_dsn: str, kafka_server: RunningKafka, servers: Servers
) -> None:
    await delete_topics(kafka_server.access)
    await install_rights(kafka_server.access)
    async with process_of(service, **servers.on(chfw_dsn)) as running:
        line = await running.says("topics_wait")
        assert await running.not_ready() == "a source has not polled yet"
        await create_topics(kafka_server.access)
        await running.ready()
    assert line["server"] == kafka_server.bootstrap
    assert "no such topic" in line["error"]


async def delete_topics(access: KafkaAccess) -> None:
    """Delete the topics of the pipeline, and wait until they are gone."""
    admin = AIOKafkaAdminClient(**access.client())
    await admin.start()
    try:
        await admin.delete_topics([name for name in await admin.list_topics() if name in BY_NAME])

        async def gone() -> bool:
            return not BY_NAME.keys() & set(await admin.list_topics())

        await eventually(gone)
    finally:
        await admin.close()


@pytest.fixture
async def bare_dsn(databases: Databases) -> AsyncIterator[str]:
    """A database with nothing of ours in it, on a server that knows our roles."""
    databases.clone("chfw", databases.install)

    async def nothing(_tx: object, _name: str) -> None:
        """Leave it bare."""

    dsn = databases.clone("bare", nothing)
    yield dsn
    databases.drop(dsn)


async def install(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await install_schemas(connection, name_of(dsn))
    finally:
        await connection.close()


@with_topics
async def test_without_its_schema_it_waits_until_the_migrations_have_run(bare_dsn: str, servers: Servers) -> None:
    async with process_of("smi", **servers.on(bare_dsn)) as running:
        line = await running.says("schema_waits")
        await install(bare_dsn)
        await running.ready()
        servers.nothing_secret(running, "smi")
    assert line["server"] == place(bare_dsn)
    assert "run the migrations first; missing: baseline" in line["error"]


@with_topics
async def test_without_a_pace_the_paced_clock_is_waited_for(chfw_dsn: str, servers: Servers) -> None:
    paced = {"CHFW_CLOCK": "paced"}
    async with process_of("smi", **servers.on(chfw_dsn), env=paced) as running:
        line = await running.says("clock_waits")
        owner = await asyncpg.connect(chfw_dsn)
        try:
            await set_first_pace(owner, machine_now())
        finally:
            await owner.close()
        await running.ready()
        servers.nothing_secret(running, "smi")
    assert (line["level"], line["server"]) == ("warning", place(chfw_dsn))
    assert "chfw_clock.pace is missing" in line["error"]


@with_topics
async def test_without_its_database_or_its_role_it_waits(
    chfw_dsn: str, postgres_server: RunningPostgres, servers: Servers
) -> None:
    """A stranger's role is in no line of pg_hba.conf; one of the services' group is."""
    name, template = f"{name_of(chfw_dsn)}_later", name_of(chfw_dsn)
    later = postgres_server.dsn(name)
    env = {"CHFW_DATABASE_DSN": as_role(later, "chfw_stranger")}
    password = read_secret(postgres_server.server.password_file("chfw_smi"))
    async with process_of("smi", **servers.on(later), env=env) as running:
        line = await running.says("schema_waits")
        try:
            await execute(
                postgres_server.admin_dsn,
                f'create database "{name}" template "{template}"',
                f"create role chfw_stranger login in role chfw_smi, chfw_services password '{password}'",
            )
            await running.ready()
            servers.nothing_secret(running, "smi")
        finally:
            await running.stop()
            await execute(postgres_server.admin_dsn, f'drop database if exists "{name}"', "drop role chfw_stranger")
    assert line["server"] == place(later)
    assert "no pg_hba.conf entry" in line["error"]


@with_topics
async def test_a_wrong_password_ends_it_with_one_clear_line(chfw_dsn: str, servers: Servers, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text(f"{SECRET}\n")
    wrong.chmod(0o600)
    env = {"CHFW_DATABASE_PASSWORD_FILE": str(wrong)}
    async with process_of("smi", **servers.on(chfw_dsn), env=env) as running:
        assert await running.ends() == 1
        line = await running.says("process_ends")
    assert (line["level"], line["server"]) == ("critical", place(chfw_dsn))
    assert "password authentication failed" in line["error"]
    assert SECRET not in "".join(running.written)


@with_topics
async def test_a_secret_file_that_is_open_to_all_is_not_used(chfw_dsn: str, servers: Servers, tmp_path: Path) -> None:
    """It waits, and goes on once the file is as it must be."""
    secret = read_secret(servers.postgres.server.password_file("chfw_smi"))
    file = tmp_path / "open"
    file.write_text(secret)
    file.chmod(0o644)
    env = {"CHFW_DATABASE_PASSWORD_FILE": str(file)}
    async with process_of("smi", **servers.on(chfw_dsn), env=env) as running:
        line = await running.says("database_waits")
        file.chmod(0o600)
        await running.ready()
        servers.nothing_secret(running, "smi")
    assert str(file) in line["error"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("update smi.schema_migration set sha256 = 'x'", "baseline was changed after it ran"),
        ("insert into smi.schema_migration values (9999, 'x', 'x')", "migrations this code does not know: [9999]"),
    ],
)
async def test_another_schema_ends_it_with_one_clear_line(
    chfw_dsn: str, servers: Servers, change: str, reason: str
) -> None:
    await execute(chfw_dsn, change)
    async with process_of("smi", **servers.on(chfw_dsn)) as running:
        assert await running.ends() == 1
        line = await running.says("process_ends")
        servers.nothing_secret(running, "smi")
    assert (line["level"], line["server"]) == ("critical", place(chfw_dsn))
    assert reason in line["error"]
    assert "exception" not in line


async def test_settings_that_are_wrong_are_named_and_nothing_secret_is_shown(chfw_dsn: str, servers: Servers) -> None:
    """An address with a password in it is refused, for addresses are logged."""
    env = {"CHFW_HTTP_PORT": "many", "CHFW_DATABASE_DSN": f"postgresql://chfw_smi:{SECRET}@127.0.0.1:1/chfw"}
    async with process_of("smi", **servers.on(chfw_dsn), env=env) as running:
        assert await running.ends() == 1
    written = "".join(running.written)
    assert "http_port" in written
    assert "CHFW_DATABASE_PASSWORD_FILE" in written
    assert SECRET not in written
