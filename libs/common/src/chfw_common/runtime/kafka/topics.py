"""Creating the topics of the pipeline, and refusing those that are not as the topology says."""

from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from chfw_common.runtime.backoff import Backoff
from chfw_common.runtime.clock import Clock
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.kafka.closing import ended
from chfw_common.runtime.kafka.identity import topic_ids
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


async def create_topics(bootstrap: str, topics: Iterable[Topic] = TOPICS, replication: int = 1) -> None:
    """Create what is missing. Safe to repeat; an existing topic is left as it is."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
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
    """Topic name -> topic id. Raises TopicMissingError, or TopicMismatchError for another partition count."""
    wanted = list(topics)
    found = await topic_ids(client, [topic.name for topic in wanted])
    for topic in wanted:
        known = found.get(topic.name)
        if known is None:
            raise TopicMissingError(f"{topic.name}: no such topic; make the topics first")
        if known[1] != topic.partitions:
            raise TopicMismatchError(f"{topic.name}: {topic.partitions} partitions expected, found: {known[1]}")
    return {name: identity for name, (identity, _) in found.items()}


async def topics_when_there(bootstrap: str, topics: Iterable[Topic], clock: Clock) -> None:
    """Return once the broker answers and has the topics; until then say what is missing, and where.

    A consumer would not: without its topics it polls for ever and looks well. Raises TopicMismatchError.
    """
    wanted, backoff, waits = list(topics), Backoff(clock, FIRST), Repeated()
    while True:
        client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=REQUEST_TIMEOUT_MS)
        try:
            await client.bootstrap()
            await require_topics(client, wanted)
            waits.over(server=bootstrap)
            return
        except TopicMissingError as error:
            waits.failed("Kafka is there, but a topic is not yet", action="topics_wait", server=bootstrap, error=error)
        except (KafkaError, OSError) as error:
            waits.failed("Kafka is not there yet", action="broker_waits", server=bootstrap, error=error)
        finally:
            await ended(client.close())
        await backoff.wait()
