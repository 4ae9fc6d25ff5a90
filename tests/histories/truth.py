"""The consent table once more, written from REQUIREMENTS and from nothing else (I19)."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple


class Word(NamedTuple):
    """What one Party said last of a hub."""

    party: str
    kind: str
    group: str
    received_at: datetime
    activate_at: datetime | None


class Holder(NamedTuple):
    """Who answers for a hub, and since when without a break."""

    party: str
    since: datetime


class Dates(NamedTuple):
    """The dates of a hub's group."""

    automatic: datetime
    opens: datetime | None
    pilot_opens: datetime


def planned(words: Iterable[Word], holders: Iterable[Holder], dates: Dates, *, mandatory: bool) -> datetime | None:
    """When the hub is to be activated if nothing more is heard; None: as soon as may be."""
    since: dict[str, datetime] = {}
    for holder in holders:
        since[holder.party] = min(holder.since, since.get(holder.party, holder.since))
    said = [word for word in words if word.party in since and word.received_at >= since[word.party]]
    yes = [word for word in said if word.kind in {"instruct", "agree"}]
    if not yes or (mandatory and len(yes) < len(since)):
        return dates.automatic
    times = [_counted(word.kind, word.activate_at) for word in yes if word.activate_at is not None]
    if not times:
        return None
    opens = dates.pilot_opens if any(word.group == "pilot" for word in yes) else dates.opens
    latest = max(times) if opens is None else max(*times, opens)
    return min(latest, dates.automatic)


def _counted(kind: str, stated: datetime) -> datetime:
    """Who agrees repeats a time that was shown; any other time counts from the next quarter of an hour on."""
    beyond = timedelta(minutes=stated.minute % 15, seconds=stated.second, microseconds=stated.microsecond)
    return stated if kind == "agree" or not beyond else stated - beyond + timedelta(minutes=15)
