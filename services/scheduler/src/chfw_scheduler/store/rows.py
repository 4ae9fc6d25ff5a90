"""Rows of the ledger as facts, and facts as rows: the one table of its columns, and what their values mean."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from chfw_common.kernel.hubs import DeviceStatus, DeviceType, Make, Responsibility
from chfw_common.kernel.ids import HubId, PartyId, UserId
from chfw_common.kernel.instants import Instant, format_instant, parse_instant
from chfw_common.kernel.roles import Role
from chfw_common.kernel.rollout import AnswerKind, Group, HubState, Mode
from chfw_common.runtime.updates import kinds_of
from chfw_scheduler.domain.facts import (
    NOT_ARMED,
    Arming,
    ArmResult,
    Consent,
    Delivery,
    Facts,
    Inventory,
    Row,
    Shown,
    Silence,
    Withheld,
    Word,
)
from chfw_scheduler.domain.merge import Answer


class Piece(NamedTuple):
    """Columns that change together: a part of a group of facts, with their array types for `unnest`."""

    group: str
    place: slice
    names: tuple[str, ...]
    types: tuple[str, ...]


def _pieces(group: str, text: str) -> list[Piece]:
    found: list[Piece] = []
    start = 0
    for piece in text.split("|"):
        names, types = zip(*kinds_of(piece), strict=True)
        found.append(Piece(group, slice(start, start + len(names)), names, types))
        start += len(names)
    return found


GROUPS: dict[str, list[Piece]] = {
    group: _pieces(group, text)
    for group, text in {
        "inventory": "smi_version:bigint | smi_firmware:text smi_status:text smi_region:text | smi_make:json"
        " | import_party:text import_user:text import_since:timestamptz"
        " gas_party:text gas_user:text gas_since:timestamptz",
        "consent": "answers:json | answer_closed:timestamptz automatic_due:timestamptz"
        " | withheld:json withheld_until:timestamptz",
        "delivery": "dist_epoch:int dist_at:timestamptz dist_tries:smallint | delivered_at:timestamptz"
        " | dist_failed_at:timestamptz dist_refused_at:timestamptz dist_reason:text",
        "arming": "arm_epoch:int arm_counter:bigint arm_at:timestamptz | arm_planned_for:timestamptz"
        " arm_fires_at:timestamptz | arm_accepted_at:timestamptz"
        " | arm_ended:text arm_ended_at:timestamptz arm_reason:text cancel_counter:bigint cancel_at:timestamptz"
        " cancel_for:text cancel_refused_at:timestamptz cancel_refusals:smallint too_late_at:timestamptz"
        " | outcome:smallint outcome_at:timestamptz arm_tries:smallint doubted_at:timestamptz",
        "silence": "silent_since:timestamptz | last_word_at:timestamptz"
        " | reads:smallint read_counter:bigint read_at:timestamptz read_refused_at:timestamptz"
        " unreachable_at:timestamptz",
        "shown": "state:text | reason:text"
        " | activate_at:timestamptz | answer_by:timestamptz proposed_at:timestamptz pilot:boolean | wave:text"
        " | claim_at:timestamptz | check_at:timestamptz",
    }.items()
}
"""The columns of the table in their order, by the group of facts they hold; last what the facts amount to."""
PIECES = tuple(piece for pieces in GROUPS.values() for piece in pieces)
NAMES = tuple(name for piece in PIECES for name in piece.names)
_LOADED = ("release_id", "part", "hub", "version", *NAMES)


def _places() -> dict[str, slice]:
    places, start = {}, len(_LOADED) - len(NAMES)
    for group, pieces in GROUPS.items():
        places[group] = slice(start, start + pieces[-1].place.stop)
        start += pieces[-1].place.stop
    return places


_PLACES = _places()
_DELIVERY, _ARMING, _SILENCE = _PLACES["delivery"], _PLACES["arming"], _PLACES["silence"]
_CONSENT, _SHOWN = _PLACES["consent"], _PLACES["shown"]
_RESPONSIBLE = slice(_PLACES["inventory"].start + 5, _PLACES["inventory"].stop)
_NO_DELIVERY, _NO_SILENCE = Delivery(), Silence()
_STATES = {state.value: state for state in HubState}
_STATUSES = {status.value: status for status in DeviceStatus}
_KEPT = 8_192
"""Texts and pairs of Suppliers whose meaning is kept: hubs of a request share them, and a row costs a third."""


@lru_cache(maxsize=_KEPT)
def _answers_out(answers: tuple[Answer, ...]) -> str:
    rows = [
        [
            a.party,
            a.party_seq,
            a.kind,
            a.group,
            format_instant(a.received_at),
            None if a.activate_at is None else format_instant(a.activate_at),
        ]
        for a in answers
    ]
    return orjson.dumps(rows).decode()


@lru_cache(maxsize=_KEPT)
def _answers_in(text: str) -> tuple[Answer, ...]:
    return tuple(
        Answer(
            PartyId(party),
            seq,
            AnswerKind(kind),
            Group(group),
            parse_instant(received_at),
            None if activate_at is None else parse_instant(activate_at),
        )
        for party, seq, kind, group, received_at, activate_at in orjson.loads(text)
    )


@lru_cache(maxsize=_KEPT)
def _make_out(make: Make) -> str:
    return orjson.dumps([*make]).decode()


@lru_cache(maxsize=_KEPT)
def _make_in(text: str) -> Make:
    device_type, *others = orjson.loads(text)
    return Make(DeviceType(device_type), *others)


_INSTANTS = ("activate_at", "answer_by", "proposed_at")


@lru_cache(maxsize=_KEPT)
def _withheld_out(withheld: Withheld | None) -> tuple[str | None, Instant | None]:
    if withheld is None:
        return None, None
    said: dict[str, Any] = withheld.word._asdict()
    said |= {name: None if said[name] is None else format_instant(said[name]) for name in _INSTANTS}
    said |= {"import_instructed": withheld.import_instructed, "gas_instructed": withheld.gas_instructed}
    return orjson.dumps(said).decode(), withheld.until


@lru_cache(maxsize=_KEPT)
def _withheld_in(text: str | None, until: Instant) -> Withheld | None:
    if text is None:
        return None
    said: dict[str, Any] = orjson.loads(text)
    by_role = (said.pop("import_instructed"), said.pop("gas_instructed"))
    said |= {name: None if said[name] is None else parse_instant(said[name]) for name in _INSTANTS}
    answers = tuple((PartyId(party), None if kind is None else AnswerKind(kind)) for party, kind in said["answers"])
    state, lapsed = HubState(said["state"]), tuple(map(PartyId, said["lapsed"]))
    return Withheld(Word(**{**said, "state": state, "answers": answers, "lapsed": lapsed}), *by_role, until)


def _inventory_values(inventory: Inventory) -> tuple[Any, ...]:
    slots: dict[Role, Responsibility] = {one.role: one for one in inventory.responsible}
    flat: list[Any] = [inventory.version, inventory.firmware, inventory.status, inventory.region]
    flat.append(_make_out(inventory.make))
    for role in (Role.IMPORT_SUPPLIER, Role.GAS_SUPPLIER):
        one = slots.get(role)
        flat += [None, None, None] if one is None else [one.party, one.user_id, one.since]
    return tuple(flat)


VALUES: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "inventory": _inventory_values,
    "consent": lambda consent: (_answers_out(consent.answers), *consent[1:3], *_withheld_out(consent.withheld)),
    "delivery": tuple,
    "arming": tuple,
    "silence": tuple,
}
"""The columns of a group in their order. The last three are the fields of the group one by one."""


def all_values(facts: Facts, shown: Shown) -> tuple[Any, ...]:
    """Every column of a row in the order of the table, from `part` on, without the version."""
    groups = (value for group, value_of in VALUES.items() for value in value_of(getattr(facts, group)))
    return (facts.part, facts.hub, *groups, *shown)


def rows_of(records: Sequence[Any]) -> list[Row]:
    """Rows as facts. Hubs of a batch share most values, and most groups are still as they were made: both are kept.

    Raises LookupError when the columns do not come in the order of the table above.
    """
    if records and tuple(records[0].keys()) != _LOADED:
        raise LookupError(f"the columns of the ledger are {tuple(records[0].keys())}")
    return [_row(tuple(record)) for record in records]


def _row(values: tuple[Any, ...]) -> Row:
    _, part, hub, version, smi_version, smi_firmware, smi_status, smi_region, make = values[:9]
    answers, answer_closed, automatic_due, withheld, until = values[_CONSENT]
    delivery, arming, silence = values[_DELIVERY], values[_ARMING], values[_SILENCE]
    facts = Facts(
        HubId(hub),
        part,
        Inventory(
            smi_version,
            smi_firmware,
            _STATUSES[smi_status],
            smi_region,
            _responsible(*values[_RESPONSIBLE]),
            _make_in(make),
        ),
        Consent(_answers_in(answers), answer_closed, automatic_due, _withheld_in(withheld, until)),
        _NO_DELIVERY if delivery == _NO_DELIVERY else Delivery._make(delivery),
        NOT_ARMED if arming == NOT_ARMED else _arming(arming),
        _NO_SILENCE if silence == _NO_SILENCE else Silence._make(silence),
    )
    state, *others = values[_SHOWN]
    return Row(version, facts, Shown(_STATES[state], *others))


def _arming(values: tuple[Any, ...]) -> Arming:
    arming = Arming._make(values)
    if arming.ended is not None:
        arming = arming._replace(ended=ArmResult(arming.ended))
    return arming if arming.cancel_for is None else arming._replace(cancel_for=Mode(arming.cancel_for))


@lru_cache(maxsize=_KEPT)
def _responsible(
    import_party: PartyId | None,
    import_user: UserId,
    import_since: Instant,
    gas_party: PartyId | None,
    gas_user: UserId,
    gas_since: Instant,
) -> tuple[Responsibility, ...]:
    found = []
    if import_party is not None:
        found.append(Responsibility(import_party, import_user, Role.IMPORT_SUPPLIER, import_since))
    if gas_party is not None:
        found.append(Responsibility(gas_party, gas_user, Role.GAS_SUPPLIER, gas_since))
    return tuple(found)
