"""Creating the topics of the pipeline, and refusing those that are not as the topology says."""

from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import TopicAlreadyExistsError, for_code

from chfw_common.runtime.kafka.identity import topic_ids
from chfw_common.topology import TOPICS, Topic


class TopicMismatchError(Exception):
    """A topic is missing or has another number of partitions than the topology says."""


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
    """Topic name -> topic id. Raises TopicMismatchError when one is missing or has another partition count."""
    wanted = list(topics)
    found = await topic_ids(client, [topic.name for topic in wanted])
    for topic in wanted:
        known = found.get(topic.name)
        if known is None or known[1] != topic.partitions:
            have = "no such topic" if known is None else f"{known[1]} partitions"
            raise TopicMismatchError(f"{topic.name}: {topic.partitions} partitions expected, found: {have}")
    return {name: identity for name, (identity, _) in found.items()}
