"""release.notified: the notice of a release (R1-1, R1-2)."""

from typing import ClassVar, Literal

from chfw_common.events.base import Code, Event, Number, Part, ReleaseRef, Span, UtcInstant
from chfw_common.events.waves import StatedWaves
from chfw_common.kernel.applicability import Image
from chfw_common.kernel.rollout import Rule

CplState = Literal["Active", "Cancelled", "Expired", "Withdrawn"]
ReleaseKind = Literal["sec", "planned", "unplanned"]
Severity = Literal["low", "medium", "high", "critical"]
Priority = Literal[1, 2, 3, 4]


class CplEntry(Part):
    """The Central Products List entry of the new version. Empty predecessors or GBCS versions allow any."""

    manufacturer: Code
    model: Code
    hardware: tuple[Code, ...]
    firmware: Code
    image_hash: str
    predecessors: tuple[Code, ...] = ()
    gbcs_versions: tuple[str, ...] = ()
    state: CplState = "Active"

    @property
    def image(self) -> Image:
        """What of it hubs are compared with."""
        return Image(
            manufacturer=self.manufacturer,
            model=self.model,
            hardware=frozenset(self.hardware),
            firmware=self.firmware,
            predecessors=frozenset(self.predecessors),
            gbcs_versions=frozenset(self.gbcs_versions),
        )


class ReleaseNotified(Event):
    """A release as its notice states it; a changed note or CPL state is a higher version."""

    TOPIC: ClassVar[str] = "release.notified"
    TYPE: ClassVar[str] = "uk.chfw.release.notified.v1"

    release_id: ReleaseRef
    version: Number
    cpl: CplEntry
    kind: ReleaseKind
    severity: Severity
    priority: Priority
    note_reference: str
    rule: Rule
    lone_lead: Span
    answer_min: Span
    pilot_cap: Number
    notified_at: UtcInstant
    pilot_opens: UtcInstant
    pilot_closes: UtcInstant
    automatic_date: UtcInstant
    waves: StatedWaves = ()

    @property
    def number(self) -> int:
        """The place in the release's line of notices."""
        return self.version
