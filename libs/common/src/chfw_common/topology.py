"""The pipeline as one table: what flows where, keyed by what, in how many partitions.

Topic creation, the tables of the documents and the picture in the README all come from here. A partition count is part
of a topic's identity: a service refuses another count, and a change is a new topic after a drain.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from chfw_common.events import (
    alert,
    command,
    decision,
    distributed,
    fenced,
    instruction,
    progressed,
    release,
    request,
    response,
    rollout_progress,
    smi,
)
from chfw_common.events.base import Event
from chfw_common.kernel.ids import HubId, ReleaseId, hub_key
from chfw_common.kernel.murmur2 import murmur2

HUB_PARTITIONS = 32
RELEASE_PARTITIONS = 4
CHUNK = 500
"""The most hubs one event, one tick or one claim may carry."""

CONTROL_LANE = 0
BULK_LANE = 1
LANES = (CONTROL_LANE, BULK_LANE)


class Key(StrEnum):
    """What a topic is partitioned by."""

    HUB = "hub"
    RELEASE = "release"


@dataclass(frozen=True, slots=True, eq=False)
class Topic:
    """One stream: its contract, who writes it, who reads it, and the outbox lane it leaves by.

    There is one value of each, so they compare by identity.
    """

    event: type[Event]
    key: Key
    producer: str
    consumers: tuple[str, ...]
    says: str
    lane: int = BULK_LANE

    @property
    def name(self) -> str:
        """The topic's name in Kafka."""
        return self.event.TOPIC

    @property
    def partitions(self) -> int:
        """How many partitions it has, by what it is keyed by."""
        return HUB_PARTITIONS if self.key is Key.HUB else RELEASE_PARTITIONS


RELEASE_NOTIFIED = Topic(
    release.ReleaseNotified,
    Key.RELEASE,
    "notifier",
    ("instruction", "scheduler", "device-sim", "governance"),
    "a firmware version is announced for a model, or its notice changed",
)
INSTRUCTION_RECEIVED = Topic(
    instruction.InstructionReceived,
    Key.HUB,
    "instruction",
    ("scheduler",),
    "a Party has answered for these hubs",
)
REQUEST_PROGRESSED = Topic(
    request.RequestProgressed,
    Key.RELEASE,
    "instruction",
    ("notifier",),
    "a request of a Party was accepted, or all of it is judged",
)
FIRMWARE_DISTRIBUTED = Topic(
    distributed.FirmwareDistributed,
    Key.HUB,
    "scheduler",
    ("device-sim",),
    "the image was handed to the CSP for these hubs",
)
HUB_COMMAND = Topic(
    command.HubCommand,
    Key.HUB,
    "scheduler",
    ("device-sim",),
    "activate at a time (CS06), or read the version",
)
HUB_CANCEL = Topic(
    command.HubCancel,
    Key.HUB,
    "scheduler",
    ("device-sim",),
    "a CS06 is called back",
    lane=CONTROL_LANE,
)
HUB_RESPONSE = Topic(
    response.HubResponse,
    Key.HUB,
    "device-sim",
    ("scheduler", "smi"),
    "what the edge or the hub answered",
)
CS06_ALERT = Topic(
    alert.Cs06Alert,
    Key.HUB,
    "device-sim",
    ("smi",),
    "the hub has activated, or failed to",
)
SMI_UPDATED = Topic(
    smi.SmiUpdated,
    Key.HUB,
    "smi",
    ("scheduler", "notifier"),
    "the inventory's record of these hubs, and what changed it",
)
HUB_PROGRESSED = Topic(
    progressed.HubProgressed,
    Key.HUB,
    "scheduler",
    ("notifier", "instruction"),
    "where these hubs stand in a release",
)
ROLLOUT_DECISION = Topic(
    decision.RolloutDecision,
    Key.RELEASE,
    "governance",
    ("scheduler", "device-sim", "instruction", "notifier"),
    "the DCC has decided: held, pilot, run, pause, stop",
    lane=CONTROL_LANE,
)
ROLLOUT_FENCED = Topic(
    fenced.RolloutFenced,
    Key.RELEASE,
    "device-sim",
    ("scheduler",),
    "a CSP edge obeys this minimum epoch from now on",
    lane=CONTROL_LANE,
)
ROLLOUT_PROGRESSED = Topic(
    rollout_progress.RolloutProgressed,
    Key.RELEASE,
    "scheduler",
    ("governance", "notifier"),
    "totals of a release; a decision is fencing or effective",
)

TOPICS: tuple[Topic, ...] = (
    RELEASE_NOTIFIED,
    INSTRUCTION_RECEIVED,
    REQUEST_PROGRESSED,
    FIRMWARE_DISTRIBUTED,
    HUB_COMMAND,
    HUB_CANCEL,
    HUB_RESPONSE,
    CS06_ALERT,
    SMI_UPDATED,
    HUB_PROGRESSED,
    ROLLOUT_DECISION,
    ROLLOUT_FENCED,
    ROLLOUT_PROGRESSED,
)
SERVICES: tuple[str, ...] = ("notifier", "instruction", "scheduler", "device-sim", "smi", "governance")
BY_NAME: dict[str, Topic] = {topic.name: topic for topic in TOPICS}


def schema_of(service: str) -> str:
    """The Postgres schema (and, with `chfw_` before it, the role and the module) of a service."""
    return service.replace("-", "_")


def partition_of_key(key: bytes, partitions: int) -> int:
    """Kafka's own default: murmur2 without the sign bit, modulo the count."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def partition_of_hub(hub: HubId) -> int:
    """The partition of a hub on every hub topic."""
    return partition_of_key(hub_key(hub), HUB_PARTITIONS)


def partition_of_release(release_id: ReleaseId) -> int:
    """The partition of a release on every release topic."""
    return partition_of_key(release_id.encode(), RELEASE_PARTITIONS)


T = TypeVar("T")


def in_chunks(items: Sequence[T], size: int = CHUNK) -> Iterable[Sequence[T]]:
    """The items in order, at most `size` at a time."""
    return (items[i : i + size] for i in range(0, len(items), size))
