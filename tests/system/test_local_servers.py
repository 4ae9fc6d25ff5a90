"""The real broker and the real Postgres: started, ended, killed, started again, with the data kept."""

import asyncio
import json
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from chfw_cli.local import kafka_jars, proc
from chfw_cli.local.child import launch_command
from chfw_cli.local.kafka import KafkaServer
from chfw_cli.local.kafka_jars import JarMismatchError
from chfw_cli.local.postgres import PostgresServer
from chfw_cli.local.postgres_binaries import NoPostgresError
from chfw_cli.local.postgres_config import DEMO
from chfw_cli.local.record import NotUpError, StackRecord
from chfw_cli.local.server import PortTakenError
from chfw_cli.local.stack import AlreadyUpError, Stack
from chfw_cli.local.state import StateDir, untraversable
from chfw_common.runtime.kafka.access import KafkaAccess

if TYPE_CHECKING:  # pytest itself loads the module, as the plugin named below
    from tests.support.servers import RunningKafka, RunningPostgres

pytest_plugins = ["tests.support.servers"]

TOPIC = "kept"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user to run Postgres as")


def interpreter_for_others() -> tuple[str, dict[str, str]]:
    """A Python of our version that another user may run, and the environment in which it finds what we import."""
    ours = Path(sys.executable).resolve()
    candidates = (ours, Path(f"/usr/bin/python3.{sys.version_info.minor}"))
    for candidate in candidates:
        if candidate.exists() and not untraversable(candidate.parent):
            places = [entry for entry in sys.path if entry and not entry.startswith(sys.base_prefix)]
            return str(candidate), {**os.environ, "PYTHONPATH": os.pathsep.join(places), "HOME": "/nonexistent"}
    pytest.skip(f"none of {candidates} can be run by another user: install this Python where all may reach it")


def starts(argv: tuple[str, ...]) -> "subprocess.Popen[bytes]":
    """A process that no supervisor knows."""
    return subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd=os.sep
    )


async def nothing(_postgres: PostgresServer, _kafka: KafkaServer, _state: StateDir) -> None:
    return


async def eventually(condition: Callable[[], bool], limit: float = 20.0) -> None:
    async with asyncio.timeout(limit):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


async def make_topic(access: KafkaAccess, topic: str = TOPIC) -> None:
    admin = AIOKafkaAdminClient(**access.client())
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def produce(access: KafkaAccess, value: bytes, topic: str = TOPIC) -> None:
    async with AIOKafkaProducer(**access.client(), acks="all", enable_idempotence=True) as producer:
        await producer.send_and_wait(topic, value, partition=0)


async def consume(access: KafkaAccess, count: int, topic: str = TOPIC) -> list[bytes]:
    consumer = AIOKafkaConsumer(**access.client(), auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        async with asyncio.timeout(20):
            return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def query(dsn: str, *statements: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        answer: object = None
        for statement in statements:
            answer = await connection.fetchval(statement)
        return answer
    finally:
        await connection.close()


async def test_kafka_keeps_what_was_acknowledged_through_kill_9_and_an_orderly_end(state_dir: StateDir) -> None:
    server = KafkaServer(state_dir)
    access = server.access()
    async with server:
        await make_topic(access)
        await produce(access, b"before the kill")
        pid = server.pid
        assert pid is not None
        await server.kill()
        assert not proc.alive(pid)
        await server.start()
        await produce(access, b"before the end")
        began = time.monotonic()
        await server.stop()
        assert time.monotonic() - began < 5
    async with KafkaServer(state_dir) as again:
        assert again.access() == access
        assert await consume(access, 2) == [b"before the kill", b"before the end"]


async def test_an_orphaned_broker_is_ended_at_the_next_start(state_dir: StateDir) -> None:
    first = KafkaServer(state_dir)
    await first.prepare()
    argv = first.spec().argv
    orphan = starts(argv)
    try:
        (state_dir.pids / "kafka").write_text(f"{orphan.pid}\n")
        ready = first.spec().ready
        assert ready is not None
        async with asyncio.timeout(30):
            while not await ready():  # noqa: ASYNC110 - a probe has no event
                await asyncio.sleep(0.05)
        async with KafkaServer(state_dir) as second:
            assert not proc.alive(orphan.pid)
            assert second.pid not in {None, orphan.pid}
    finally:
        orphan.kill()
        orphan.wait()


async def test_a_recorded_pid_of_another_program_is_left_alone(state_dir: StateDir) -> None:
    other = starts((sys.executable, "-c", "import time; time.sleep(600)"))
    try:
        server = KafkaServer(state_dir)
        (state_dir.pids / "kafka").write_text(f"{other.pid}\n")
        await server.prepare()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


async def test_a_changed_jar_is_refused_before_anything_runs(tmp_path: Path) -> None:
    genuine = await kafka_jars.kafka_jars()
    copy = kafka_jars.jar_directory(tmp_path)
    copy.mkdir()
    for jar in genuine:
        (copy / jar.name).symlink_to(jar)
    changed = copy / "kafka-clients-4.3.1.jar"
    original = changed.read_bytes()
    changed.unlink()
    changed.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    with pytest.raises(JarMismatchError, match=r"SHA-256 differs: .*kafka-clients"):
        await kafka_jars.kafka_jars(tmp_path)


async def test_warm_jars_need_neither_the_resolver_nor_the_network() -> None:
    await kafka_jars.kafka_jars()
    code = (
        "import asyncio, sys\n"
        "from chfw_cli.local.kafka_jars import kafka_jars\n"
        "assert len(asyncio.run(kafka_jars())) == 46\n"
        "assert 'jgo' not in sys.modules\n"
    )
    dead = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], env={**os.environ, **dead})
    assert done.returncode == 0


async def test_postgres_keeps_what_was_committed_through_kill_9_and_an_orderly_end(state_dir: StateDir) -> None:
    server = PostgresServer(state_dir)
    dsn = server.dsn()
    async with server:
        await query(dsn, "create table kept (line text)", "insert into kept values ('before the kill')")
        pid = server.pid
        assert pid is not None
        below = proc.descendants(pid)
        assert below
        await server.kill()
        await eventually(lambda: not any(proc.alive(process) for process in (pid, *below)))
        await server.start()
        await query(dsn, "insert into kept values ('before the end')")
    async with PostgresServer(state_dir) as again:
        assert again.dsn() == dsn
        assert await query(dsn, "select string_agg(line, ', ') from kept") == "before the kill, before the end"


async def test_postgres_is_set_up_for_us(state_dir: StateDir) -> None:
    async with PostgresServer(state_dir, profile=DEMO) as server:
        expected = {
            "server_encoding": "UTF8",
            "listen_addresses": "127.0.0.1",
            "fsync": "on",
            "synchronous_commit": "on",
            "shared_buffers": "512MB",
            "max_connections": "200",
            "TimeZone": "UTC",
        }
        for name, value in expected.items():
            assert await query(server.dsn(), f"show {name}") == value
        assert await query(server.dsn(), "select datcollate from pg_database where datname = 'template1'") == "C"
        assert await query(
            server.dsn(), "create extension pg_stat_statements", "select count(*) >= 0 from pg_stat_statements"
        )


async def test_a_stale_pid_file_with_the_number_of_another_program_does_no_harm(state_dir: StateDir) -> None:
    server = PostgresServer(state_dir)
    async with server:
        lock = state_dir.root / "postgres" / "data" / "postmaster.pid"
        stale = lock.read_text()
        await server.kill()
    lock.write_text(stale.replace(stale.split("\n", 1)[0], str(os.getpid()), 1))
    async with server:
        assert await query(server.dsn(), "select 1") == 1


async def test_an_orphaned_postgres_is_ended_at_the_next_start(state_dir: StateDir) -> None:
    first = PostgresServer(state_dir)
    await first.prepare()
    spec = first.spec()
    orphan = starts(launch_command(spec.argv, spec.account))
    try:
        assert spec.ready is not None
        async with asyncio.timeout(30):
            while not await spec.ready():  # noqa: ASYNC110 - a probe has no event
                await asyncio.sleep(0.05)
        async with PostgresServer(state_dir) as second:
            assert not proc.alive(orphan.pid)
            assert second.pid not in {None, orphan.pid}
    finally:
        orphan.kill()
        orphan.wait()


async def test_a_port_that_another_program_took_is_told(state_dir: StateDir) -> None:
    server = PostgresServer(state_dir)
    taken = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", server.port)
    async with taken:
        with pytest.raises(PortTakenError, match=str(server.port)):
            await server.prepare()


@needs_root
async def test_a_state_directory_that_the_server_user_cannot_reach_is_told(state_dir: StateDir) -> None:
    closed = state_dir.directory("closed")
    closed.chmod(0o700)
    with pytest.raises(NoPostgresError, match=f"{closed}.*chmod o\\+x"):
        await PostgresServer(StateDir(closed / "state").create()).prepare()


@needs_root
async def test_programs_that_the_server_user_cannot_reach_are_copied(
    state_dir: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chfw_cli.local.postgres_binaries.untraversable", lambda path: (path,) * ("bin" in path.parts))
    async with PostgresServer(state_dir) as server:
        assert server.spec().argv[0].startswith(str(state_dir.root))
        assert await query(server.dsn(), "select 1") == 1


@needs_root
async def test_postgres_runs_for_an_ordinary_user_too(state_dir: StateDir) -> None:
    nobody = pwd.getpwnam("nobody")
    interpreter, environment = interpreter_for_others()
    own = state_dir.root / "own"
    own.mkdir(mode=0o755)
    os.chown(own, nobody.pw_uid, nobody.pw_gid)
    code = (
        "import asyncio, sys, os\n"
        "from pathlib import Path\n"
        "from chfw_cli.local.postgres import PostgresServer\n"
        "from chfw_cli.local.state import StateDir\n"
        "from chfw_cli.local.probes import postgres_ready\n"
        "async def main():\n"
        "    async with PostgresServer(StateDir(Path(sys.argv[1])).create()) as server:\n"
        "        print(os.getuid(), await postgres_ready(server.port, server.dsn()))\n"
        "asyncio.run(main())\n"
    )
    done = await asyncio.to_thread(
        subprocess.run,
        [interpreter, "-c", code, str(own / "state")],
        env=environment,
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout.split()) == (0, [str(nobody.pw_uid), "True"]), done.stderr


async def test_a_stack_survives_kills_of_its_servers_and_ends_in_time(state_dir: StateDir) -> None:
    async with Stack(state_dir, services=(), prepare=nothing) as stack:
        await make_topic(stack.kafka_access)
        await query(stack.admin_dsn, "create table kept (line text)")
        with pytest.raises(AlreadyUpError):
            await Stack(state_dir, services=(), prepare=nothing).start()
        assert StackRecord.read(state_dir).kafka == stack.kafka_access
        for name in ("postgres", "kafka"):
            stack.kill(name)
            await stack.wait_ready(name)
        assert [(process.name, process.restarts) for process in stack.status()] in (
            [("postgres", 1), ("kafka", 1)],
            [("kafka", 1), ("postgres", 1)],
        )
        assert await query(stack.admin_dsn, "select count(*) from kept") == 0
        await produce(stack.kafka_access, b"after the kill")
        assert stack.peak_rss_mb()["kafka"] > 50
        pids = [process.pid for process in stack.status()]
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert not any(pid is not None and proc.alive(pid) for pid in pids)
    with pytest.raises(NotUpError):
        StackRecord.read(state_dir)


async def test_up_status_and_down(state_dir: StateDir) -> None:
    chfw = (sys.executable, "-m", "chfw_cli.main")
    where = ("--state", str(state_dir.root))
    up = await asyncio.create_subprocess_exec(*chfw, "up", "--servers-only", *where, stdout=subprocess.PIPE)
    try:
        assert up.stdout is not None
        async with asyncio.timeout(120):
            assert b"up in" in await up.stdout.readline()
        status = await asyncio.to_thread(subprocess.run, [*chfw, "status", "--json", *where], capture_output=True)
        shown = json.loads(status.stdout)
        assert status.returncode == 0
        assert {process["name"]: process["up"] and process["ready"] for process in shown["processes"]} == {
            "postgres": True,
            "kafka": True,
        }
        down = await asyncio.to_thread(subprocess.run, [*chfw, "down", *where], capture_output=True)
        assert (down.returncode, down.stdout) == (0, b"ended\n")
        await up.communicate()
        assert up.returncode == 0
        assert not any(proc.alive(process["pid"]) for process in shown["processes"])
        assert (await asyncio.to_thread(subprocess.run, [*chfw, "status", *where], capture_output=True)).returncode == 1
    finally:
        if up.returncode is None:
            up.kill()
            await up.communicate()


@pytest.mark.parametrize("moment", ["starting", "running"])
async def test_a_kill_9_of_up_leaves_neither_server(state_dir: StateDir, moment: str) -> None:
    command = (sys.executable, "-m", "chfw_cli.main", "up", "--servers-only", "--state", str(state_dir.root))
    up = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert up.stdout is not None
    try:
        if moment == "running":
            await up.stdout.readline()
        await eventually(lambda: len(list(state_dir.pids.iterdir())) == 2)
        pids = [int(file.read_text()) for file in state_dir.pids.iterdir()]
        below = [process for pid in pids for process in proc.descendants(pid)]
    finally:
        up.send_signal(signal.SIGKILL)
        await up.communicate()
    await eventually(lambda: not any(proc.alive(pid) for pid in (*pids, *below)))


async def test_the_session_servers_serve_tests_of_any_loop(
    kafka_server: "RunningKafka", postgres_server: "RunningPostgres"
) -> None:
    await make_topic(kafka_server.access, "session")
    await produce(kafka_server.access, b"x", "session")
    assert await consume(kafka_server.access, 1, "session") == [b"x"]
    assert await query(postgres_server.admin_dsn, "select 1") == 1


async def test_a_cluster_whose_making_was_cut_off_is_made_again(state_dir: StateDir) -> None:
    half = state_dir.passable_directory("postgres") / "data.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    async with PostgresServer(state_dir) as server:
        assert await query(server.dsn(), "select 1") == 1
    assert not half.exists()
