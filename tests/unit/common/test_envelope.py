"""The headers of a record: CloudEvents 1.0 to anybody, and what we refuse."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event

from chfw_common.events.fenced import RolloutFenced
from chfw_common.kernel.ids import ReleaseId
from chfw_common.runtime import envelope
from chfw_common.runtime.errors import InvalidMessageError
from chfw_common.runtime.service import Record
from chfw_common.topology import ROLLOUT_FENCED

NOW = datetime(2025, 6, 1, 12, 0, 0, 250_000, tzinfo=UTC)
EVENT = RolloutFenced(release_id=ReleaseId("r1"), edge="North", min_epoch=4, fenced_at=NOW)
ID = envelope.event_id("a cause", "rollout.fenced", b"r1", 0)
