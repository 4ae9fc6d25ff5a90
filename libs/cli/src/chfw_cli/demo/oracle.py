"""What must come out, computed from the seed and the requests alone.

Written against the text of REQUIREMENTS, not against the services: it shares no rule with them and imports none of
their code, so that both being wrong in the same way is unlikely.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Asked(Protocol):
    """What the oracle reads of a request."""

    @property
    def party(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def activate_at(self) -> datetime | None: ...
    @property
    def hubs(self) -> tuple[int, ...]: ...


class Box(Protocol):
    """What the oracle reads of a hub of the estate."""

    @property
    def hub(self) -> int: ...
    @property
    def model(self) -> str: ...
    @property
    def hardware(self) -> str: ...
    @property
    def firmware(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def import_party(self) -> str: ...
    @property
    def gas_party(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Image:
    """The release as the oracle sees it."""

    model: str
    hardware: str
    replaces: frozenset[str]
    automatic_date: datetime


@dataclass(frozen=True, slots=True)
class Expected:
    """What must hold of one hub. `planned_at` None: as soon as capacity allows. `pilot`: somebody's list names it."""

    planned_at: datetime | None
    pilot: bool


def expect(image: Image, boxes: Iterable[Box], requests: Iterable[Asked]) -> dict[int, Expected]:
    """Every hub the release concerns, with its planned time under the voluntary rule.

    The requests come in the order of acceptance; the last word of a Party on a hub counts. Waits (`answer_by`) move no
    planned time, so they do not occur here.
    """
    words: dict[int, dict[str, Asked]] = {}
    for request in requests:
        for hub in request.hubs:
            words.setdefault(hub, {})[request.party] = request
    return {
        box.hub: _plan(image, words.get(box.hub, {}), {box.import_party, box.gas_party})
        for box in boxes
        if _concerned(image, box)
    }


def _concerned(image: Image, box: Box) -> bool:
    same = (box.model, box.hardware) == (image.model, image.hardware)
    return same and box.firmware in image.replaces and box.status in ("Commissioned", "Suspended")


def _plan(image: Image, said: dict[str, Asked], parties: set[str]) -> Expected:
    yes = [word for party, word in said.items() if party in parties and word.kind in ("instruct", "agree")]
    if not yes:
        return Expected(image.automatic_date, pilot=False)
    times = [word.activate_at for word in yes if word.activate_at is not None]
    latest = max(times) if times else None
    return Expected(latest, pilot=any(word.group == "pilot" for word in yes))
