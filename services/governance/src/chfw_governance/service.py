"""Governance as data: what it consumes, its routes."""

from chfw_common.runtime.lines import in_line
from chfw_common.runtime.service import Consume, Service
from chfw_common.topology import RELEASE_NOTIFIED, ROLLOUT_PROGRESSED
from chfw_governance.api.decisions import deciding, reading
from chfw_governance.settings import Settings
from chfw_governance.stages import learn

NAME = "governance"


def build(settings: Settings) -> Service:
    """Compose the service."""
    return Service(
        name=NAME,
        consumes={
            RELEASE_NOTIFIED: Consume(in_line(learn.handle_notice)),
            ROLLOUT_PROGRESSED: Consume(learn.handle_progress),
        },
        routes=[reading()],
        operator_routes=[deciding(settings), reading()],
    )
