"""A service whose servers are not there when it starts: it says what is missing and where, and goes on by itself."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from chfw_common.runtime.clock import machine_now, set_first_pace
from chfw_common.runtime.kafka.topics import create_topics
from chfw_common.runtime.roles import install_schemas
from chfw_common.topology import BY_NAME, schema_of
from tests.support.databases import Databases
from tests.support.processes import Running, process_of
from tests.support.servers import RunningKafka, RunningPostgres
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.servers", "tests.support.databases"]

with_topics = pytest.mark.usefixtures("topics")
SECRET = "open-sesame"


def address(dsn: str, service: str) -> str:
    """The address of a database as the service's own role, with a password that the server does not ask for."""
    return dsn.replace("postgres@", f"chfw_{schema_of(service)}:{SECRET}@")


def place(dsn: str) -> str:
    return dsn.rpartition("@")[2]


def nothing_secret(running: Running) -> None:
    assert SECRET not in "".join(running.written)


async def execute(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def topics(kafka_server: RunningKafka) -> None:
    await create_topics(kafka_server.bootstrap)


@with_topics
async def test_without_postgres_it_waits_and_says_where(
    chfw_dsn: str, postgres_server: RunningPostgres, kafka_server: RunningKafka, tmp_path: Path
) -> None:
    await asyncio.to_thread(postgres_server.stop)
    try:
        where = {"dsn": address(chfw_dsn, "smi"), "bootstrap": kafka_server.bootstrap, "keys": tmp_path}
        async with process_of("smi", **where) as running:  # type: ignore[arg-type]
            line = await running.says("database_waits")
            await asyncio.to_thread(postgres_server.start)
            await running.ready()
            nothing_secret(running)
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
    service: str, chfw_dsn: str, kafka_server: RunningKafka, tmp_path: Path
) -> None:
    """The scheduler reads one topic through Faust."""
    await asyncio.to_thread(kafka_server.stop)
    started = False
    try:
        where = {"dsn": address(chfw_dsn, service), "bootstrap": kafka_server.bootstrap, "keys": tmp_path}
        async with process_of(service, **where) as running:  # type: ignore[arg-type]
            line = await running.says("broker_waits")
            assert await running.not_ready() == "a source has not polled yet"
            await asyncio.to_thread(kafka_server.start)
            started = True
            await running.ready()
            nothing_secret(running)
    finally:
        if not started:
            await asyncio.to_thread(kafka_server.start)
    assert (line["event"], line["server"]) == ("Kafka is not there yet", kafka_server.bootstrap)


@pytest.mark.parametrize("service", ["smi", "scheduler"])
async def test_without_topics_it_waits_and_names_one(
    service: str, chfw_dsn: str, kafka_server: RunningKafka, tmp_path: Path
) -> None:
    await delete_topics(kafka_server.bootstrap)
    where = {"dsn": address(chfw_dsn, service), "bootstrap": kafka_server.bootstrap, "keys": tmp_path}
    async with process_of(service, **where) as running:  # type: ignore[arg-type]
        line = await running.says("topics_wait")
        assert await running.not_ready() == "a source has not polled yet"
        await create_topics(kafka_server.bootstrap)
        await running.ready()
    assert line["server"] == kafka_server.bootstrap
    assert "no such topic" in line["error"]


async def delete_topics(bootstrap: str) -> None:
    """Delete the topics of the pipeline, and wait until they are gone."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
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
    databases.clone("chfw", install_schemas)

    async def nothing(_tx: object, _name: str) -> None:
        """Leave it bare."""

    dsn = databases.clone("bare", nothing)
    yield dsn
    databases.drop(dsn)


async def install(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await install_schemas(connection, dsn.rpartition("/")[2])
    finally:
        await connection.close()


@with_topics
async def test_without_its_schema_it_waits_until_the_migrations_have_run(
    bare_dsn: str, kafka_server: RunningKafka, tmp_path: Path
) -> None:
    where = {"dsn": address(bare_dsn, "smi"), "bootstrap": kafka_server.bootstrap, "keys": tmp_path}
    async with process_of("smi", **where) as running:  # type: ignore[arg-type]
        line = await running.says("schema_waits")
        await install(bare_dsn)
        await running.ready()
        nothing_secret(running)
    assert line["server"] == place(bare_dsn)
    assert "run the migrations first; missing: baseline" in line["error"]


@with_topics
async def test_without_a_pace_the_paced_clock_is_waited_for(
    chfw_dsn: str, kafka_server: RunningKafka, tmp_path: Path
) -> None:
    dsn = address(chfw_dsn, "smi")
    paced = {"CHFW_CLOCK": "paced"}
    async with process_of("smi", dsn=dsn, bootstrap=kafka_server.bootstrap, keys=tmp_path, env=paced) as running:
        line = await running.says("clock_waits")
        owner = await asyncpg.connect(chfw_dsn)
        try:
            await set_first_pace(owner, machine_now())
        finally:
            await owner.close()
        await running.ready()
        nothing_secret(running)
    assert (line["level"], line["server"]) == ("warning", place(chfw_dsn))
    assert "chfw_clock.pace is missing" in line["error"]


@with_topics
async def test_without_its_database_or_its_role_it_waits(
    chfw_dsn: str, postgres_server: RunningPostgres, kafka_server: RunningKafka, tmp_path: Path
) -> None:
    later = f"{chfw_dsn}_later"
    dsn = address(later, "smi").replace("chfw_smi:", "chfw_stranger:")
    async with process_of("smi", dsn=dsn, bootstrap=kafka_server.bootstrap, keys=tmp_path) as running:
        line = await running.says("schema_waits")
        nothing_secret(running)
        name, template = later.rpartition("/")[2], chfw_dsn.rpartition("/")[2]
        try:
            await execute(
                postgres_server.admin_dsn,
                f'create database "{name}" template "{template}"',
                "create role chfw_stranger login in role chfw_smi",
            )
            await running.ready()
        finally:
            await running.stop()
            await execute(postgres_server.admin_dsn, f'drop database if exists "{name}"', "drop role chfw_stranger")
    assert line["server"] == place(later)
    assert "does not exist" in line["error"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("update smi.schema_migration set sha256 = 'x'", "baseline was changed after it ran"),
        ("insert into smi.schema_migration values (9999, 'x', 'x')", "migrations this code does not know: [9999]"),
    ],
)
async def test_another_schema_ends_it_with_one_clear_line(
    chfw_dsn: str, kafka_server: RunningKafka, tmp_path: Path, change: str, reason: str
) -> None:
    await execute(chfw_dsn, change)
    where = {"dsn": address(chfw_dsn, "smi"), "bootstrap": kafka_server.bootstrap, "keys": tmp_path}
    async with process_of("smi", **where) as running:  # type: ignore[arg-type]
        assert await running.ends() == 1
        line = await running.says("process_ends")
        nothing_secret(running)
    assert (line["level"], line["server"]) == ("critical", place(chfw_dsn))
    assert reason in line["error"]
    assert "exception" not in line


async def test_settings_that_are_missing_are_named_and_nothing_secret_is_shown(tmp_path: Path) -> None:
    dsn = f"postgresql://chfw_smi:{SECRET}@127.0.0.1:1/chfw"
    async with process_of("smi", dsn=dsn, bootstrap="none:0", keys=tmp_path, env={"CHFW_HTTP_PORT": "many"}) as running:
        assert await running.ends() == 1
    assert "http_port" in "".join(running.written)
    nothing_secret(running)
