"""The notifier as data: what it consumes, its routes."""

from chfw_common.runtime.lines import in_line
from chfw_common.runtime.service import Consume, Service, Source
from chfw_common.topology import (
    HUB_PROGRESSED,
    REQUEST_PROGRESSED,
    ROLLOUT_DECISION,
    ROLLOUT_PROGRESSED,
    SMI_UPDATED,
)
from chfw_notifier.api import estate, events, pilots, releases
from chfw_notifier.api.exports import Exports
from chfw_notifier.settings import Settings
from chfw_notifier.stages import release, tell

NAME = "notifier"


def build(settings: Settings) -> Service:
    """Compose the service."""
    exports = Exports()
    return Service(
        name=NAME,
        consumes={
            REQUEST_PROGRESSED: Consume(tell.handle_request),
            SMI_UPDATED: Consume(tell.handle_smi),
            HUB_PROGRESSED: Consume(tell.handle_progress),
            ROLLOUT_DECISION: Consume(in_line(tell.handle_decision), source=Source.CONTROL),
            ROLLOUT_PROGRESSED: Consume(tell.handle_totals),
        },
        ticks=[release.TICK],
        routes=[releases.build_router(settings, exports), estate.build_router(exports), pilots.router, events.router],
    )
