"""Creating the topics of the pipeline, and refusing those that are not as the topology says."""

from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, TopicAuthorizationFailedError, for_code

from chfw_common.runtime.backoff import Backoff
from chfw_common.runtime.clock import Clock
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.runtime.kafka.closing import ended
from chfw_common.runtime.kafka.identity import topic_ids
from chfw_common.runtime.passwords import SecretError
from chfw_common.runtime.repeats import Repeated
from chfw_common.topology import TOPICS, Topic

FIRST = 0.2
"""Seconds between the first two tries."""
REQUEST_TIMEOUT_MS = 5_000
"""How long a broker that swallows what is sent may keep us from saying so."""


class TopicMismatchError(Exception):
    """A topic has another number of partitions than the topology says."""


class TopicMissingError(TransientError):
    """A topic has not been made yet."""


async def create_topics(access: KafkaAccess, topics: Iterable[Topic] = TOPICS, replication: int = 1) -> None:
    """Create what is missing. Safe to repeat; an existing topic is left as it is."""
    admin = AIOKafkaAdminClient(**access.client())
    await admin.start()
    try:
        wanted = [NewTopic(topic.name, topic.partitions, replication) for topic in topics]
        response = await admin.create_topics(wanted)
        for entry in response.topic_errors:
            if entry[1] not in (0, TopicAlreadyExistsError.errno):
                raise for_code(entry[1])(entry[0])
    finally:
        await admin.close()


async def require_topics(client: AIOKafkaClient, topics: Iterable[Topic]) -> dict[str, str]:
    """Topic name -> topic id. Raises TopicMissingError, TopicMismatchError for another partition count, and
    TopicAuthorizationFailedError where this user may not see a topic."""
    wanted = list(topics)
    found = await topic_ids(client, [topic.name for topic in wanted])
    for topic in wanted:
        known = found.get(topic.name)
        if known is None:
            raise TopicMissingError(f"{topic.name}: no such topic; make the topics first")
        if known[1] != topic.partitions:
            raise TopicMismatchError(f"{topic.name}: {topic.partitions} partitions expected, found: {known[1]}")
    return {name: identity for name, (identity, _) in found.items()}


async def topics_when_there(access: KafkaAccess, topics: Iterable[Topic], clock: Clock) -> None:
    """Return once the broker answers and has the topics; until then say what is missing, and where.

    A consumer would not: without its topics it polls for ever and looks well. Raises TopicMismatchError.
    """
    wanted, backoff, waits = list(topics), Backoff(clock, FIRST), Repeated()
    while True:
        try:
            await _look(access, wanted)
            waits.over(server=access.bootstrap)
            return
        except TopicMissingError as error:
            said, action = "Kafka is there, but a topic is not yet", "topics_wait"
            waits.failed(said, action=action, server=access.bootstrap, error=error)
        except TopicAuthorizationFailedError as error:
            said, action = "Kafka is there, but does not let this user see a topic", "rights_wait"
            waits.failed(said, action=action, server=access.bootstrap, user=access.username, error=error)
        except (KafkaError, OSError, SecretError) as error:
            waits.failed("Kafka is not there yet", action="broker_waits", server=access.bootstrap, error=error)
        await backoff.wait()


async def _look(access: KafkaAccess, wanted: Iterable[Topic]) -> None:
    """Raise what keeps this user from the topics. A wrong password looks like a broker that is away: aiokafka writes
    a line of its own about it, and gives no reason."""
    client = AIOKafkaClient(**access.client(), request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await client.bootstrap()
        await require_topics(client, wanted)
    finally:
        await ended(client.close())
