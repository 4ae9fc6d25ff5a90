"""What a Party is told of its request as a whole: that it was accepted, and what came of it (R4-1, R4-2)."""

from chfw_common.events.request import RequestProgressed
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.service import Outgoing, release_event
from chfw_common.topology import REQUEST_PROGRESSED
from chfw_instruction.domain.quota import shown_done
from chfw_instruction.store.requests import Accepted, Known


def received(accepted: Accepted) -> Outgoing:
    """The request was accepted."""
    return _told(
        RequestProgressed(
            request_id=str(accepted.id),
            release_id=accepted.terms.release_id,
            party=accepted.party,
            party_seq=accepted.party_seq,
            kind=accepted.kind,
            group=accepted.group,
            activate_at=accepted.activate_at,
            received_at=accepted.received_at,
            entries=accepted.entries,
        )
    )


def judged(known: Known, verdicts: dict[str, int], at: Instant) -> Outgoing:
    """Its last entry has a verdict; `verdicts` counts all of them."""
    return _told(
        RequestProgressed(
            request_id=str(known.id),
            release_id=known.release_id,
            party=known.party,
            party_seq=known.party_seq,
            kind=known.kind,
            group=known.group,
            activate_at=known.asked.activate_at,
            received_at=known.asked.received_at,
            entries=known.entries,
            verdicts=verdicts,
            done_at=shown_done(known.asked.received_at, at),
        )
    )


def _told(event: RequestProgressed) -> Outgoing:
    return release_event(REQUEST_PROGRESSED, event.release_id, event)
