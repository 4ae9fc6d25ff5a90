"""What must come out, computed from the seed and the requests alone.

Written against the text of REQUIREMENTS, not against the services: it shares no rule with them and imports none of
their code, so that both being wrong in the same way is unlikely.
"""

import binascii
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Protocol

_HYPHENS = re.compile(r"[0-9a-f]{2}(-[0-9a-f]{2}){7}", re.IGNORECASE)
_PLAIN = re.compile(r"[0-9a-f]{16}", re.IGNORECASE)


class Asked(Protocol):
    """What the oracle reads of a request. `entries` are the ids as they were sent."""

    @property
    def party(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def received_at(self) -> datetime: ...
    @property
    def activate_at(self) -> datetime | None: ...
    @property
    def entries(self) -> tuple[str, ...]: ...


class Box(Protocol):
    """What the oracle reads of a hub of the estate."""

    @property
    def hub(self) -> int: ...
    @property
    def region(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def hardware(self) -> str: ...
    @property
    def firmware(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def gbcs(self) -> str: ...
    @property
    def device_type(self) -> str: ...
    @property
    def import_party(self) -> str: ...
    @property
    def gas_party(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Wave:
    """A group of the DCC: so many ten-thousandths of the hubs of these regions, of all when none is named."""

    name: str
    regions: tuple[str, ...]
    share: int
    opens: datetime
    automatic_date: datetime


@dataclass(frozen=True, slots=True)
class Image:
    """The release as the oracle sees it. `pilot_cap`: the places of its pilot, of all Parties together."""

    model: str
    hardware: str
    firmware: str
    replaces: frozenset[str]
    gbcs: frozenset[str]
    automatic_date: datetime
    pilot_opens: datetime
    pilot_cap: int
    waves: tuple[Wave, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """What must hold of one hub. `planned_at` None: as soon as capacity allows. `pilot`: somebody's list names it.

    `proposed_at` is the latest time that a Party stated and may be agreed to. It is in this wave, and never activated
    before `opens`.
    """

    planned_at: datetime | None
    proposed_at: datetime | None
    pilot: bool
    wave: str | None
    opens: datetime | None


def judge_all(
    image: Image, boxes: Mapping[int, Box], requests: Iterable[Asked]
) -> Iterator[tuple[Asked, list[tuple[str, int | None]]]]:
    """Each request with the verdict of each of its entries in order, and the hub that the entry names.

    The requests come in the order of acceptance. What is proposed for a hub after one of them is shown to both of its
    Parties before the next. A hub that a pilot list names does not occur in another request of the story of its Party.
    """
    words: dict[int, dict[str, Asked]] = {}
    left = pilot_places(image, boxes.values())
    shown: dict[int, set[datetime]] = {}
    for request in requests:
        said = list(_judge(image, boxes, request, shown))
        if request.group == "pilot" and request.kind in ("instruct", "agree"):
            said = _as_far_as_there_are_places(said, left, request.party)
        yield request, said
        for verdict, hub in said:
            if verdict == "accepted" and hub is not None:
                words.setdefault(hub, {})[request.party] = request
                proposed = _plan(image, boxes[hub], words[hub]).proposed_at
                shown.setdefault(hub, set()).update([] if proposed is None else [proposed])


def pilot_places(image: Image, boxes: Iterable[Box]) -> dict[str, int]:
    """How many hubs each Party may name for the pilot: one, and of the rest as many as the hubs that it answers for
    among those the image is for, all pairs of a hub and a Party being the whole; never more than it has hubs."""
    hubs: dict[str, int] = {}
    for box in boxes:
        for party in {box.import_party, box.gas_party} if _applies(image, box) is None else ():
            hubs[party] = hubs.get(party, 0) + 1
    rest, pairs = max(image.pilot_cap - len(hubs), 0), sum(hubs.values())
    return {party: min(count, 1 + math.floor(Fraction(rest * count, pairs))) for party, count in hubs.items()}


def _as_far_as_there_are_places(
    said: list[tuple[str, int | None]], left: dict[str, int], party: str
) -> list[tuple[str, int | None]]:
    found = []
    for verdict, hub in said:
        full = verdict == "accepted" and left.get(party, 1) == 0
        if verdict == "accepted" and not full:
            left[party] = left.get(party, 1) - 1
        found.append(("pilot_full" if full else verdict, hub))
    return found


def expect(image: Image, boxes: Mapping[int, Box], requests: Iterable[Asked]) -> dict[int, Expected]:
    """Every hub the release concerns, with its planned time under the voluntary rule.

    The requests come in the order of acceptance; the last word of a Party on a hub counts. Waits (`answer_by`) move no
    planned time, so they do not occur here.
    """
    words: dict[int, dict[str, Asked]] = {}
    for request, said in judge_all(image, boxes, requests):
        for verdict, hub in said:
            if verdict == "accepted" and hub is not None:
                words.setdefault(hub, {})[request.party] = request
    return {
        box.hub: _plan(image, box, words.get(box.hub, {})) for box in boxes.values() if _applies(image, box) is None
    }


def wave_of(image: Image, box: Box) -> Wave | None:
    """The first wave that takes a hub. Its share is where the CRC-32 of its id lies among all that there are."""
    crc = binascii.crc32(bytes.fromhex(f"{box.hub % 2**64:016x}"))
    for wave in image.waves:
        if crc / 2**32 < wave.share / 10_000 and box.region in (wave.regions or (box.region,)):
            return wave
    return None


def cut_off(date: datetime) -> datetime:
    """The last instant in time for D: as far into the month before as D is into its own, no further than its end."""
    month = date.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    before = (month - timedelta(days=1)).replace(day=1)
    return min(before + (date - month), month - timedelta(microseconds=1))


def _read(text: str) -> int | None:
    if not (_HYPHENS.fullmatch(text) or _PLAIN.fullmatch(text)):
        return None
    return int.from_bytes(bytes.fromhex(text.replace("-", "")), "big", signed=True)


def _judge(
    image: Image, boxes: Mapping[int, Box], request: Asked, shown: Mapping[int, Collection[datetime]]
) -> Iterator[tuple[str, int | None]]:
    seen: set[int] = set()
    for text in request.entries:
        hub = _read(text)
        if hub is None:
            yield "malformed_id", None
        elif hub in seen:
            yield "duplicate_in_request", hub
        else:
            seen.add(hub)
            yield _verdict(image, boxes.get(hub), request, shown.get(hub, ())), hub


def _verdict(image: Image, box: Box | None, request: Asked, shown: Collection[datetime]) -> str:
    if box is None:
        return "unknown_hub"
    if (box.import_party if request.role == "IS" else box.gas_party) != request.party:
        return "not_responsible"
    refused = _applies(image, box) or _by_date(image, box, request)
    if refused is None and request.kind == "agree" and request.activate_at not in shown:
        return "time_not_shown"
    return refused or "accepted"


def counted_time(kind: str, stated: datetime) -> datetime:
    """The first quarter of an hour that is not before a stated time; one that was agreed to is as it was shown."""
    beyond = timedelta(minutes=stated.minute % 15, seconds=stated.second, microseconds=stated.microsecond)
    return stated if kind == "agree" or not beyond else stated - beyond + timedelta(minutes=15)


def _by_date(image: Image, box: Box, request: Asked) -> str | None:
    wave = wave_of(image, box)
    date = wave.automatic_date if wave else image.automatic_date
    opens = image.pilot_opens if request.group == "pilot" else wave.opens if wave else None
    if request.received_at > cut_off(date):
        return "after_cut_off"
    at = None if request.activate_at is None else counted_time(request.kind, request.activate_at)
    if at is not None and at >= date:
        return "time_not_before_date"
    too_soon = opens is not None and at is not None and at < opens
    return "before_group_opens" if too_soon else None


def _applies(image: Image, box: Box) -> str | None:
    same = (box.model, box.hardware) == (image.model, image.hardware)
    reasons = (
        ("not_a_hub", box.device_type != "CHF"),
        ("not_commissioned", box.status not in ("Commissioned", "Suspended")),
        ("already_at_version", same and box.firmware == image.firmware),
        ("model_not_applicable", not same),
        ("not_upgradeable", box.firmware not in image.replaces),
        ("gbcs_incompatible", box.gbcs not in image.gbcs),
    )
    return next((reason for reason, holds in reasons if holds), None)


def _plan(image: Image, box: Box, said: dict[str, Asked]) -> Expected:
    wave = wave_of(image, box)
    parties = {box.import_party, box.gas_party}
    yes = [word for party, word in said.items() if party in parties and word.kind in ("instruct", "agree")]
    name, opens, date = (wave.name, wave.opens, wave.automatic_date) if wave else (None, None, image.automatic_date)
    if not yes:
        return Expected(date, None, False, name, opens)
    times = [counted_time(word.kind, word.activate_at) for word in yes if word.activate_at is not None]
    pilot = any(word.group == "pilot" for word in yes)
    latest = max(times) if times else None
    return Expected(latest, latest, pilot, name, image.pilot_opens if pilot else opens)
