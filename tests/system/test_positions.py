"""A topic that is made anew: the service says what is stopped, and a person decides with `chfw positions`."""

import asyncio
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner, Result

from chfw_cli.commands import positions
from chfw_cli.local.record import StackRecord
from chfw_cli.local.state import StateDir
from chfw_cli.main import app
from chfw_common.runtime.kafka.rights import install_rights
from chfw_common.runtime.kafka.topics import create_topics
from chfw_common.topology import CS06_ALERT, HUB_RESPONSE
from tests.support.brokers import RealKafka
from tests.support.databases import name_of
from tests.support.processes import Running, process_of
from tests.support.servers import RunningKafka, RunningPostgres
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.servers", "tests.support.databases"]

PARTITIONS = CS06_ALERT.partitions


@pytest.fixture
def stack(
    chfw_dsn: str,
    kafka_server: RunningKafka,
    postgres_server: RunningPostgres,
    state_dir: StateDir,
    monkeypatch: pytest.MonkeyPatch,
) -> StateDir:
    """A stack as the commands see one."""
    monkeypatch.setattr(positions, "DATABASE", name_of(chfw_dsn))
    record = StackRecord.of_this_process(
        admin_dsn=postgres_server.admin_dsn, kafka=kafka_server.access, clock="real", urls={}, operator_urls={}
    )
    record.write(state_dir.create())
    return state_dir


async def chfw(state: StateDir, *arguments: str) -> Result:
    return await asyncio.to_thread(
        lambda: CliRunner().invoke(app, ["positions", *arguments, "--state", str(state.root)])
    )


async def readiness(service: Running) -> httpx2.Response:
    async with httpx2.AsyncClient() as client:
        return await client.get(f"http://127.0.0.1:{service.operator_port}/readyz")


async def test_what_is_stopped_is_named_and_a_person_decides(
    stack: StateDir, chfw_dsn: str, postgres_server: RunningPostgres, kafka_server: RunningKafka, tmp_path: Path
) -> None:
    await create_topics(kafka_server.access)
    await install_rights(kafka_server.access)
    broker = RealKafka(kafka_server)
    where = {"dsn": chfw_dsn, "postgres": postgres_server, "kafka": kafka_server, "keys": tmp_path}
    async with process_of("smi", **where) as service:  # type: ignore[arg-type]
        await service.ready()

        async def all_begun() -> bool:
            return "0 of 64 positions cannot be read on" in (await chfw(stack, "show", "--service", "smi")).output

        await eventually(all_begun)
    await broker.recreate(CS06_ALERT)
    await broker.close()
    async with process_of("smi", **where) as service:  # type: ignore[arg-type]
        await service.says("alarm")

        async def all_named() -> bool:
            told = (await readiness(service)).text
            return all(f"{p}," in told for p in range(PARTITIONS - 1)) and f"{CS06_ALERT.name}/0,1,2" in told

        await eventually(all_named)
        answer = await readiness(service)
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        assert HUB_RESPONSE.name not in answer.text
        assert "the cluster has" in answer.json()["detail"]
        async with httpx2.AsyncClient() as client:
            metrics = (await client.get(f"http://127.0.0.1:{service.operator_port}/metrics")).text
        assert f'chfw_partition_stopped{{partition="7",topic="{CS06_ALERT.name}"}} 1.0' in metrics
        assert 'chfw_alarm{kind="position"} 1.0' in metrics

        shown = await chfw(stack, "show", "--service", "smi")
        assert f"{PARTITIONS} of 64 positions cannot be read on" in shown.output
        named = ("--service", "smi", "--topic", CS06_ALERT.name, "--by", "Jo Bloggs")
        dry = await chfw(stack, "accept", *named, "--reason", "looking", "--dry-run")
        assert f"{PARTITIONS} would be accepted" in dry.output
        assert (await chfw(stack, "accept", *named, "--reason", " ")).exit_code == 2
        one = await chfw(stack, "accept", *named, "--reason", "the broker was set up anew", "--partition", "3")
        assert "1 accepted" in one.output
        rest = await chfw(stack, "accept", *named, "--reason", "the broker was set up anew")
        assert f"{PARTITIONS - 1} accepted" in rest.output
        await service.ready()
        assert service.process.returncode is None
    again = await chfw(stack, "accept", *named, "--reason", "once more")
    assert "0 accepted" in again.output
    history = (await chfw(stack, "show", "--service", "smi", "--topic", CS06_ALERT.name, "--partition", "3")).output
    assert "0 of 1 positions cannot be read on" in history
    assert "by Jo Bloggs: smi cs06.alert/3 0 -> 0" in history
    assert history.rstrip().endswith("the broker was set up anew")


async def test_without_a_stack_it_says_so(state_dir: StateDir) -> None:
    result = await chfw(state_dir.create(), "show")
    assert (result.exit_code, "nothing is up" in result.output) == (2, True)
    assert "no service is called" in (await chfw(state_dir, "show", "--service", "who")).output
