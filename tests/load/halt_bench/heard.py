"""What anybody can hear on Kafka: the answers and the alerts of hubs, read by a consumer of the bench itself."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition

from chfw_common.events.alert import OUTCOME_SUCCESS, Cs06Alert
from chfw_common.events.response import HubResponse, ResponseKind
from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.topology import CS06_ALERT, HUB_RESPONSE

LIMIT = 60.0


@dataclass(slots=True)
class Heard:
    """What was heard of one release: (hub, counter) of each CS06 that a hub took, and the hubs that activated."""

    accepted: set[tuple[int, int]] = field(default_factory=set)
    activated: set[int] = field(default_factory=set)


class Listener:
    """Reads the two topics from their beginning, in steps."""

    def __init__(self, access: KafkaAccess) -> None:
        self._consumer = AIOKafkaConsumer(**access.client(), enable_auto_commit=False)
        self._parts = [TopicPartition(t.name, p) for t in (HUB_RESPONSE, CS06_ALERT) for p in range(t.partitions)]
        self._heard: defaultdict[str, Heard] = defaultdict(Heard)

    async def start(self) -> None:
        """Connect."""
        await self._consumer.start()
        self._consumer.assign(self._parts)
        await self._consumer.seek_to_beginning(*self._parts)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._consumer.stop()

    async def of(self, release_id: str) -> Heard:
        """What was heard of a release, once everything that is in the logs now is read."""
        ends = await self._consumer.end_offsets(self._parts)
        async with asyncio.timeout(LIMIT):
            while [tp for tp in self._parts if await self._consumer.position(tp) < ends[tp]]:
                for records in (await self._consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        self._take(record.topic, record.value)
        return self._heard[release_id]

    def _take(self, topic: str, value: bytes) -> None:
        if topic == HUB_RESPONSE.name:
            answers = HubResponse.model_validate_json(value)
            for item in answers.items:
                if item.kind is ResponseKind.ACTIVATION_ACCEPTED and item.counter is not None:
                    self._heard[answers.release_id].accepted.add((item.hub, item.counter))
        else:
            alerts = Cs06Alert.model_validate_json(value)
            self._heard[alerts.release_id].activated |= {
                item.hub for item in alerts.items if item.outcome == OUTCOME_SUCCESS
            }
