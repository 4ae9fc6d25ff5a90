"""The views of a history on the services' own tables."""

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

import orjson

from chfw_common.events.waves import waves_from_json
from chfw_common.kernel.ids import HubId
from chfw_common.kernel.instants import Instant, parse_instant
from tests.histories.truth import Holder, Word
from tests.histories.views import Accepted, Device, Force, Judged, Kept, Laid, Late

_LEDGER = """
select hub, version, state, activate_at, answers::text, smi_region, wave, delivered_at, import_party, import_since,
       gas_party, gas_since
from ledger order by hub
"""
_MAY_FIRE = """
select hub from ledger
where arm_at is not null and outcome is null and state <> 'confirmed' and (arm_ended is null or arm_ended = 'withheld')
    and (arm_epoch < coalesce((select min_epoch from decision), 0) or state in ('superseded', 'departed', 'unfit')
         or (arm_ended is null and cancel_for is not null and too_late_at is null))
"""
_LEFT_ARMED = """
select hub from ledger
where arm_at is not null and outcome is null and (arm_ended is null or arm_ended = 'withheld')
    and state in ('superseded', 'departed', 'unfit') and cancel_counter < arm_counter
"""
_LAID = """
select r.rule = 'mandatory', r.pilot_opens, coalesce(d.automatic_date, r.first_automatic_date),
       coalesce(d.waves, r.first_waves)
from release r left join decision d using (release_id)
"""
_DEVICES = """
select hub, firmware, armed_counter, activated_release, activated_at, activations, executed_counter from device
"""
_JUDGED = """
select r.entries, r.counts, count(v.verdict), count(distinct v.pos)
from request r join verdict v on v.request_id = r.id where r.done_at is not null
group by r.id, r.entries, r.counts
"""
_ACCEPTED = """
select v.hub, r.party_seq, r.party, r.kind, r."group", r.received_at, r.activate_at
from request r join verdict v on v.request_id = r.id where v.verdict = 'accepted'
"""


class Fetch(Protocol):
    """Rows of one service's schema."""

    def __call__(self, service: str, query: str, *arguments: object) -> Awaitable[list[tuple[Any, ...]]]:
        """Run a query."""


class Tables:
    """The views, each a query."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    async def in_force(self) -> Force | None:
        """The decision in force."""
        found = await self._fetch("scheduler", "select epoch, min_epoch, mode from decision")
        return Force(*found[0]) if found else None

    async def laid(self) -> Laid | None:
        """What is laid down."""
        for mandatory, pilot_opens, automatic_date, waves in await self._fetch("scheduler", _LAID):
            return Laid(mandatory, pilot_opens, automatic_date, waves_from_json(waves))
        return None

    async def decided_date(self) -> Instant | None:
        """D as governance has it."""
        found: list[tuple[Instant]] = await self._fetch("governance", "select automatic_date from release")
        return found[0][0] if found else None

    async def rows(self) -> dict[int, Kept]:
        """The ledger."""
        return {
            hub: Kept(version, state, activate_at, _words(answers), region, wave, _holders(holders), delivered_at)
            for hub, version, state, activate_at, answers, region, wave, delivered_at, *holders in await self._fetch(
                "scheduler", _LEDGER
            )
        }

    async def proposed_at(self, hub: HubId) -> Instant | None:
        """The time that is proposed for a hub."""
        found: list[tuple[Instant]] = await self._fetch(
            "scheduler", "select proposed_at from ledger where hub = $1", hub
        )
        return found[0][0] if found else None

    async def may_fire(self) -> frozenset[int]:
        """Hubs with a CS06 that may fire and must not."""
        return frozenset(hub for (hub,) in await self._fetch("scheduler", _MAY_FIRE))

    async def left_armed(self) -> frozenset[int]:
        """Hubs that have left the release with such a CS06, to which no cancel was sent."""
        return frozenset(hub for (hub,) in await self._fetch("scheduler", _LEFT_ARMED))

    async def miscounts(self) -> Sequence[object]:
        """Where counts are not the number of rows."""
        return await self._fetch("scheduler", "select * from miscount")

    async def working(self) -> bool:
        """Whether a job is not done."""
        return bool(await self._fetch("scheduler", "select 1 from job where state = 'open'"))

    async def devices(self) -> Sequence[Device]:
        """The hubs themselves."""
        return [Device(*row) for row in await self._fetch("device-sim", _DEVICES)]

    async def inventory(self) -> dict[int, str]:
        """The version of each hub in the inventory."""
        return dict(await self._fetch("smi", "select hub, firmware from hub"))

    async def judged(self) -> Sequence[Judged]:
        """The requests that are judged."""
        return [Judged(*row) for row in await self._fetch("instruction", _JUDGED)]

    async def accepted(self) -> Sequence[Accepted]:
        """The entries that are accepted."""
        rows = await self._fetch("instruction", _ACCEPTED)
        return [Accepted(hub, seq, Word(*said)) for hub, seq, *said in rows]

    async def late(self) -> set[Late]:
        """The answers that came too late."""
        rows: list[Any] = await self._fetch("scheduler", "select hub, party, party_seq from late_answer")
        return set(rows)


def _words(answers: str) -> tuple[tuple[int, Word], ...]:
    return tuple(
        (seq, Word(party, kind, group, parse_instant(received_at), None if at is None else parse_instant(at)))
        for party, seq, kind, group, received_at, at in orjson.loads(answers)
    )


def _holders(columns: Sequence[Any]) -> tuple[Holder, ...]:
    import_party, import_since, gas_party, gas_since = columns
    both = ((import_party, import_since), (gas_party, gas_since))
    return tuple(Holder(party, since) for party, since in both if party is not None)
