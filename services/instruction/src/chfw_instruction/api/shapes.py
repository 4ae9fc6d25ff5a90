"""What the routes answer, for their document: the answers are built elsewhere and are not checked at run time."""

from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime

from chfw_common.kernel.rollout import AnswerKind, Group
from chfw_common.runtime.http.catalogues import VerdictCounts, VerdictText
from chfw_common.runtime.http.paging import CSV, NDJSON
from chfw_common.runtime.http.shapes import Shape


class ReceiptView(Shape):
    """A request was taken in; its verdicts follow."""

    request_id: UUID
    state: Literal["judging"]
    entries: int
    received_at: AwareDatetime


class ProgressView(Shape):
    """A request, and how many of its entries got which verdict."""

    request_id: UUID
    release_id: str
    state: Literal["judging", "done"]
    kind: AnswerKind
    group: Group
    activate_at: AwareDatetime | None
    received_at: AwareDatetime
    party_seq: int
    entries: int
    answered: int
    verdicts: VerdictCounts
    expected_by: AwareDatetime | None
    done_at: AwareDatetime | None
    results: str


class VerdictView(Shape):
    """The verdict of one entry; `hub` is null where what was sent is no hub id."""

    pos: int
    hub: str | None
    as_sent: str
    verdict: VerdictText


class VerdictsView(Shape):
    """A page of verdicts; `next` is what to ask `after`, null at the end."""

    state: Literal["judging", "done"]
    results: list[VerdictView]
    next: str | None


VERDICT_LIST: dict[int | str, dict[str, Any]] = {
    200: {
        "model": VerdictsView,
        "content": {
            NDJSON: {"schema": {"type": "string", "description": "A line an entry, all that are judged"}},
            CSV: {"schema": {"type": "string", "description": "The list as it was sent, hub and verdict in front"}},
        },
    }
}
"""Verdicts in their three forms."""
