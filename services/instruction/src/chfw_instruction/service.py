"""Intake as data: what it consumes, its job, its routes."""

from chfw_common.runtime.jobs import jobs_tick
from chfw_common.runtime.lines import in_line
from chfw_common.runtime.service import Consume, Service, Source
from chfw_common.topology import HUB_PROGRESSED, RELEASE_NOTIFIED, ROLLOUT_DECISION
from chfw_instruction.api.instructions import build_router
from chfw_instruction.settings import Settings
from chfw_instruction.stages import learn
from chfw_instruction.stages.judge import JUDGE

NAME = "instruction"


def build(settings: Settings) -> Service:
    """Compose the service."""
    return Service(
        name=NAME,
        consumes={
            RELEASE_NOTIFIED: Consume(in_line(learn.handle_notice)),
            ROLLOUT_DECISION: Consume(in_line(learn.handle_decision), source=Source.CONTROL),
            HUB_PROGRESSED: Consume(learn.handle_progress),
        },
        # A Supplier waits for its verdicts; the ledger merges when they are made.
        ticks=[jobs_tick([JUDGE], relays_last=True)],
        jobs=[JUDGE],
        routes=[build_router(settings)],
    )
