"""What the routes answer, for their document: the answers are built elsewhere and are not checked at run time."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from chfw_common.events.release import CplState, ReleaseKind, Severity
from chfw_common.kernel.rollout import HubState, Mode, Rule
from chfw_common.runtime.http.catalogues import REASON, VerdictCounts
from chfw_common.runtime.http.paging import CSV, NDJSON
from chfw_common.runtime.http.problems import problems
from chfw_common.runtime.http.shapes import Shape
from chfw_common.runtime.http.waves import WaveView


class CplView(Shape):
    """The entry of the Central Products List, as the notice states it."""

    manufacturer: str
    model: str
    hardware: list[str]
    firmware: str
    image_hash: str
    predecessors: list[str]
    gbcs_versions: list[str]
    state: CplState


class NoticeView(Shape):
    """A release: its notice, and what is decided at present. Waits are ISO 8601 durations."""

    release_id: str
    version: int
    cpl: CplView
    kind: ReleaseKind
    severity: Severity
    priority: int
    note_reference: str
    rule: Rule
    lone_lead: str
    answer_min: str
    pilot_cap: int
    notified_at: AwareDatetime
    pilot_opens: AwareDatetime
    pilot_closes: AwareDatetime
    first_automatic_date: AwareDatetime
    automatic_date: AwareDatetime
    cut_off: AwareDatetime
    waves: list[WaveView]
    instruction_possible: bool
    mode: Mode
    epoch: int


class SeenView(NoticeView):
    """A release as a caller sees it. `pilot_places`: how many hubs its Party may name for the pilot; null to those who
    are no Supplier."""

    pilot_places: int | None


class FitView(Shape):
    """How many hubs a notice fits, of how many of its manufacturer and model; `unfit` counts the others by verdict.
    `pilot_places`: how many hubs each Party may name for the pilot."""

    hubs: int
    of_model: int
    unfit: VerdictCounts
    pilot_places: dict[str, int]


class AnnouncedView(NoticeView):
    """What the DCC is answered, and nobody else: the inventory as it is now, whoever answers for a hub."""

    fit: FitView


class NoticesView(Shape):
    """All releases, the newest notice first."""

    releases: list[SeenView]


class OwnHubView(Shape):
    """One of the caller's own hubs, and where it stands in a release; null where it is in none.

    `activate_at` is null as well where the release is stopped or revoked and the hub is under no command.
    """

    hub: str
    roles: list[str]
    second_supplier: bool
    second_has_instructed: bool
    release_id: str | None
    release_mode: Mode | None
    state: HubState | None
    activate_at: str | None
    answer_by: str | None
    pilot: bool
    wave: str | None
    model: str
    hardware: str
    firmware: str
    region: str


class OwnHubsView(Shape):
    """A page of them; `next` is what to ask `after`, null at the end."""

    hubs: list[OwnHubView]
    next: str | None


class StratumView(Shape):
    """A stratum, how many hubs of it may be chosen, and how many are."""

    model: str
    region: str
    second_supplier: bool
    eligible: int
    chosen: int


class CoverageView(Shape):
    """How well the choice stands for the whole."""

    represented: float
    similarity: float


class PilotView(Shape):
    """A choice. `hubs` is what an instruction takes."""

    hubs: list[str]
    eligible: int
    strata: list[StratumView]
    coverage: CoverageView


_PROGRESS = {
    "progress": {
        "type": "array",
        "items": {"type": "object", "properties": {"reason": REASON}},
        "description": "Of the kind hub_progressed: hubs that stand alike, where they stand and why",
    }
}


class ToldView(Shape):
    """What the Party was told; `data` depends on the kind."""

    seq: int
    kind: Literal[
        "release_notified",
        "instruction_received",
        "instruction_judged",
        "hub_progressed",
        "smi_updated",
        "rollout_decision",
        "rollout_progressed",
    ]
    release_id: str | None
    at: AwareDatetime
    data: Annotated[dict[str, Any], Field(json_schema_extra={"properties": _PROGRESS})]


class FeedView(Shape):
    """Part of a Party's feed; `next` is what to ask `after`."""

    events: list[ToldView]
    next: str


HUB_LIST: dict[int | str, dict[str, Any]] = {
    200: {
        "model": OwnHubsView,
        "content": {
            NDJSON: {"schema": {"type": "string", "description": "A line a hub, all of them"}},
            CSV: {"schema": {"type": "string", "description": "A row a hub, all of them"}},
        },
    },
    **problems(429),
}
"""A list of hubs in its three forms."""
