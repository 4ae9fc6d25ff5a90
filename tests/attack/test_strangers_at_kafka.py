"""Who may not speak to Kafka, and what each user may do: principal x topic x verb is the topology, on a real broker."""

import dataclasses
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from chfw_cli.local import child, kafka_command, proc
from chfw_cli.local.kafka import KafkaServer
from chfw_cli.local.state import StateDir
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.kafka.access import user_of
from chfw_common.runtime.kafka.ends import EndOffsets
from chfw_common.runtime.kafka.identity import topic_ids
from chfw_common.runtime.kafka.producer import KafkaProducer
from chfw_common.runtime.kafka.rights import Pattern, Resource, Rule, Verb, install_rights, rules_of
from chfw_common.runtime.kafka.topics import create_topics
from chfw_common.runtime.passwords import read_secret
from chfw_common.topology import CS06_ALERT, ROLLOUT_DECISION, SERVICES, TOPICS, Topic
from tests.support.servers import STRANGER, RunningKafka

pytest_plugins = ["tests.support.servers"]

USERS = (*map(user_of, SERVICES), STRANGER)


@pytest.fixture
async def kafka(kafka_server: RunningKafka) -> RunningKafka:
    """The session's broker with the topics and the rules of the topology."""
    await create_topics(kafka_server.access)
    await install_rights(kafka_server.access)
    return kafka_server


@pytest.fixture(params=USERS)
async def client(request: pytest.FixtureRequest, kafka: RunningKafka) -> AsyncIterator[tuple[str, Any]]:
    """A user, and a client that is signed in as that user."""
    user: str = request.param
    made = AIOKafkaClient(**kafka.access_of(user).client())
    await made.bootstrap()
    yield user, made
    await made.close()


def expected(user: str, allowed: Callable[[Topic], bool]) -> set[str]:
    return set() if user == STRANGER else {topic.name for topic in TOPICS if allowed(topic)}


def record(key: bytes, value: bytes) -> bytes:
    """A batch with one record, as a producer sends it."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=16_384,
    )  # fmt: skip
    builder.append(0, int(machine_now().timestamp() * 1000), key, value, [])
    return bytes(builder.build())


async def writes(client: Any, topic: str, value: bytes = b"not JSON", partition: int = 0) -> bool:
    """Whether the broker takes a record; no client of ours looks first whether it may."""
    parts = [(topic, [(partition, record(b"key", value))])]
    request = ProduceRequest(required_acks=-1, timeout=5_000, topics=parts, transactional_id=None)
    response = await client.send(client.get_random_node(), request)
    (_, [(_, code, *_)]) = response.topics[0]
    assert code in {0, TopicAuthorizationFailedError.errno}, (topic, code)
    return bool(code == 0)


async def reads(client: Any, topic: str) -> bool:
    """Whether the broker gives the records of a topic."""
    request = FetchRequest(100, 1, 1_000, 0, [(topic, [(0, 0, 1_000)])])
    response = await client.send(client.get_random_node(), request)
    (_, [(_, code, *_)]) = response.topics[0]
    assert code in {0, TopicAuthorizationFailedError.errno}, (topic, code)
    return bool(code == 0)


async def test_principal_by_topic_by_verb_is_the_topology(client: tuple[str, Any]) -> None:
    """6 services and a stranger, 13 topics, both verbs: 182 requests, each allowed or refused as the topology says."""
    user, asking = client
    assert {topic.name for topic in TOPICS if await writes(asking, topic.name)} == expected(
        user, lambda topic: user_of(topic.producer) == user
    )
    assert {topic.name for topic in TOPICS if await reads(asking, topic.name)} == expected(
        user, lambda topic: user in map(user_of, topic.consumers)
    )


async def test_each_user_sees_the_topics_of_its_service_and_no_other(client: tuple[str, Any]) -> None:
    user, asking = client
    seen: set[str] = set()
    for topic in TOPICS:
        try:
            seen |= (await topic_ids(asking, [topic.name])).keys()
        except TopicAuthorizationFailedError:
            continue
    assert seen == expected(user, lambda topic: user in map(user_of, (topic.producer, *topic.consumers)))


async def test_a_service_sends_as_its_relay_does(kafka: RunningKafka) -> None:
    """What an idempotent producer needs comes with the right to write; a stranger does not even get a producer id."""
    producer = KafkaProducer(kafka.access_of("chfw-governance"), "test")
    await (await producer.send(ROLLOUT_DECISION.name, 0, b"key", b"not JSON", []))
    await producer.stop()
    asking = AIOKafkaClient(**kafka.access_of(STRANGER).client())
    await asking.bootstrap()
    try:
        answer = await asking.send(asking.get_random_node(), InitProducerIdRequest(None, 1_000))
        assert answer.error_code == ClusterAuthorizationFailedError.errno
    finally:
        await asking.close()


@pytest.mark.parametrize("user", [user for user in USERS if user != "chfw-governance"])
async def test_a_forged_decision_is_refused_by_the_broker(kafka: RunningKafka, user: str) -> None:
    asking = AIOKafkaClient(**kafka.access_of(user).client())
    await asking.bootstrap()
    try:
        before = await ends(kafka)
        for partition in range(ROLLOUT_DECISION.partitions):
            assert not await writes(asking, ROLLOUT_DECISION.name, b'{"epoch": 999, "mode": "revoked"}', partition)
        assert await ends(kafka) == before
    finally:
        await asking.close()


async def ends(kafka: RunningKafka) -> dict[tuple[str, int], int]:
    offsets = EndOffsets(kafka.access)
    try:
        return await offsets.read([ROLLOUT_DECISION])
    finally:
        await offsets.close()


async def test_a_service_joins_its_own_groups_and_no_other(kafka: RunningKafka) -> None:
    """Else it could take the partitions of another away, or commit offsets in its name."""
    for group, allowed in (("chfw-smi-bulk", True), ("chfw-scheduler-bulk", False), ("toy", False)):
        consumer = AIOKafkaConsumer(
            CS06_ALERT.name, **kafka.access_of("chfw-smi").client(), group_id=f"{group}", enable_auto_commit=False
        )
        try:
            if allowed:
                await consumer.start()
                assert consumer.assignment()
            else:
                with pytest.raises(GroupAuthorizationFailedError):
                    await consumer.start()
        finally:
            await consumer.stop()


@pytest.mark.parametrize("user", USERS)
async def test_topics_and_rules_are_the_administrators_business(kafka: RunningKafka, user: str) -> None:
    admin = AIOKafkaAdminClient(**kafka.access_of(user).client())
    await admin.start()
    try:
        made = await admin.create_topics([NewTopic("mine", 1, 1)])
        assert [entry[1] for entry in made.topic_errors] == [TopicAuthorizationFailedError.errno]
        gone = await admin.delete_topics([ROLLOUT_DECISION.name])
        assert [entry[1] for entry in gone.topic_error_codes] == [TopicAuthorizationFailedError.errno]
    finally:
        await admin.close()
    with pytest.raises(ClusterAuthorizationFailedError):
        await install_rights(kafka.access_of(user))


async def test_installing_the_rights_takes_away_what_the_topology_does_not_say(kafka: RunningKafka) -> None:
    surplus = Rule(STRANGER, Resource.TOPIC, ROLLOUT_DECISION.name, Pattern.LITERAL, Verb.WRITE)
    await install_rights(kafka.access, rules_of() | {surplus})
    asking = AIOKafkaClient(**kafka.access_of(STRANGER).client())
    await asking.bootstrap()
    try:
        assert await writes(asking, ROLLOUT_DECISION.name)
        await install_rights(kafka.access)
        assert not await writes(asking, ROLLOUT_DECISION.name)
    finally:
        await asking.close()


async def test_nobody_gets_in_without_a_password(kafka: RunningKafka, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("open-sesame\n")
    wrong.chmod(0o600)
    genuine = kafka.access_of("chfw-governance")
    others: list[dict[str, Any]] = [
        {"bootstrap_servers": kafka.bootstrap},
        dataclasses.replace(genuine, password_file=wrong).client(),
        dataclasses.replace(genuine, username="chfw-nobody").client(),
        {**genuine.client(), "sasl_mechanism": "PLAIN"},
        {**genuine.client(), "sasl_mechanism": "SCRAM-SHA-256"},
    ]
    for arguments in others:
        client = AIOKafkaClient(**arguments, request_timeout_ms=3_000)
        try:
            with pytest.raises(KafkaError):
                await client.bootstrap()
        finally:
            await client.close()


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SASL_PLAINTEXT"])
async def test_the_controller_speaks_to_nobody_else(kafka: RunningKafka, protocol: str) -> None:
    """It could be told anything by who reaches it: its listener asks for the broker's own password too."""
    controller = f"127.0.0.1:{kafka.server.state.port('kafka-controller')}"
    arguments = {**kafka.access_of("chfw-smi").client(), "bootstrap_servers": controller}
    arguments |= {"security_protocol": protocol, "sasl_mechanism": "PLAIN"}
    client = AIOKafkaClient(**arguments, request_timeout_ms=3_000)
    try:
        with pytest.raises(KafkaError):
            await client.bootstrap()
    finally:
        await client.close()


async def test_passwords_are_in_no_command_line_and_files_are_closed(
    kafka: RunningKafka, state_dir: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the data is formatted, which is when the users are made."""
    seen: list[str] = []
    genuine = child.run_to_end

    async def watched(argv: tuple[str, ...], **more: Any) -> tuple[int, str]:
        seen.extend(argv)
        modes.append(stat.S_IMODE((state_dir.root / "kafka" / "format.args").stat().st_mode))
        return await genuine(argv, **more)

    modes: list[int] = []
    monkeypatch.setattr(kafka_command, "run_to_end", watched)
    server = KafkaServer(state_dir)
    await server.prepare()
    passwords = {read_secret(server.password_file(user)) for user in map(user_of, SERVICES)}
    assert modes == [0o600]
    assert not any(password in argument for password in passwords for argument in (*seen, *server.spec().argv))
    home = state_dir.root / "kafka"
    assert not (home / "format.args").exists()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (home, home / "data")} == {0o700}
    assert stat.S_IMODE((home / "server.properties").stat().st_mode) == 0o600
    pid = kafka.server.pid
    assert pid is not None
    assert not any(read_secret(kafka.server.password_file(user)) in " ".join(proc.command_line(pid)) for user in USERS)
