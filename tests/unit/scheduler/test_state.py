"""The state of a hub as a literal table, and the boundaries of when it is next looked at (ARCHITECTURE section 5)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chfw_common.kernel.applicability import Image
from chfw_common.kernel.hubs import DeviceStatus, DeviceType, Make, Responsibility
from chfw_common.kernel.ids import HubId, PartyId, ReleaseId, UserId
from chfw_common.kernel.instants import Instant, parse_instant
from chfw_common.kernel.roles import Role
from chfw_common.kernel.rollout import AnswerKind, Group, HubState, Mode, Rule
from chfw_scheduler.domain.facts import UNRECORDED, ArmResult, Facts, Inventory, Shown
from chfw_scheduler.domain.merge import Answer, Terms
from chfw_scheduler.domain.rollout import Decision, Pacing, Rollout
from chfw_scheduler.domain.state import show

D = parse_instant("2027-03-31T12:00:00Z")
CUT_OFF = parse_instant("2027-02-28T23:59:59.999999Z")
T = parse_instant("2027-01-20T02:00:00Z")
RECEIVED = parse_instant("2026-11-01T09:00:00Z")
DAY, HOUR, TICK = timedelta(days=1), timedelta(hours=1), timedelta(microseconds=1)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
ELEC, GAS = PartyId("elec"), PartyId("gas")
PACING = Pacing()
ROLLOUT = Rollout(
    release_id=ReleaseId("r1"),
    image=Image("Acme", "CH9", frozenset({"H1"}), "NEW", frozenset({"OLD", "OLDER"}), frozenset({"4.1"})),
    image_hash="ab",
    terms=Terms(Rule.VOLUNTARY, D, 14 * DAY, 3 * DAY),
    decision=Decision(2, 1, Mode.RUN, RECEIVED),
)
MANDATORY = replace(ROLLOUT, terms=ROLLOUT.terms._replace(rule=Rule.MANDATORY))
STOPPED = replace(ROLLOUT, decision=Decision(3, 3, Mode.STOP, RECEIVED))
BOTH = tuple(
    Responsibility(party, UserId(f"{party}-{role}"), role, RECEIVED - 90 * DAY)
    for party, role in ((ELEC, Role.IMPORT_SUPPLIER), (GAS, Role.GAS_SUPPLIER))
)
MAKE = Make(DeviceType.CHF, "Acme", "CH9", "H1", "4.1")
BLANK = Facts(HubId(7), 3, Inventory(1, "OLD", DeviceStatus.COMMISSIONED, "North", BOTH, MAKE))


def said(party: PartyId, kind: str = "instruct", at: Instant | None = T, seq: int = 1) -> Answer:
    return Answer(party, seq, AnswerKind(kind), Group.SAFE_LAUNCH, RECEIVED, at)


def facts(**groups: dict[str, Any]) -> Facts:
    """Facts with groups changed: `facts(delivery={"at": T})`."""
    changes = {name: getattr(BLANK, name)._replace(**fields) for name, fields in groups.items()}
    return BLANK._replace(**changes)


AGREED = {"answers": (said(ELEC), said(GAS))}
SENT = {"epoch": 2, "at": T - 9 * DAY, "tries": 1}
THERE = {**SENT, "delivered_at": T - 8 * DAY}
FAILED = {**SENT, "failed_at": T - 8 * DAY, "reason": "FileTransferFailure"}
ARMING = {"epoch": 2, "counter": 10, "at": T - DAY, "planned_for": T, "fires_at": T}
ARMED = {**ARMING, "accepted_at": T - DAY}
CALLED = {**ARMED, "cancel_counter": 11, "cancel_at": T - HOUR, "cancel_for": Mode.PAUSE}
CALL_REFUSED = {**CALLED, "cancel_at": None, "cancel_refused_at": T - HOUR, "cancel_refusals": 1}
DOUBTED = {**ARMED, "outcome": 0, "outcome_at": T, "doubted_at": T}
SILENT = {"since": T + DAY, "reads": 1, "read_at": T + DAY, "read_counter": 12}
OVER = {"ended_at": T, "reason": "stale_epoch"}


def row(**groups: dict[str, Any]) -> Facts:
    """A consented hub."""
    return facts(**{"consent": AGREED, **groups})


def under(arming: dict[str, Any], **groups: dict[str, Any]) -> Facts:
    """A consented hub that holds the image."""
    return row(delivery=THERE, arming=arming, **groups)


S = HubState
STANDINGS: list[tuple[str, Facts, HubState, str | None]] = [
    ("nobody answered", BLANK, S.ELIGIBLE, None),
    ("a decline is no instruction", facts(consent={"answers": (said(ELEC, "decline"),)}), S.ELIGIBLE, None),
    ("one of two", facts(consent={"answers": (said(ELEC),)}), S.AWAITING_CONSENT, None),
    ("withdrawn", facts(consent={"answers": (said(ELEC, "withdraw"),)}), S.ELIGIBLE, None),
    ("withdrawn, the image stays", facts(delivery=THERE), S.AWAITING_CONSENT, None),
    ("withdrawn while it travels", facts(delivery=SENT), S.AWAITING_CONSENT, None),
    ("both", row(), S.SCHEDULED, None),
    ("D is near", facts(consent={"automatic_due": D}), S.SCHEDULED, None),
    ("D was near, then delayed", facts(consent={"automatic_due": D - TICK}), S.ELIGIBLE, None),
    ("handed over", row(delivery=SENT), S.DISTRIBUTING, None),
    ("refused", row(delivery={**SENT, "at": None, "refused_at": T}), S.SCHEDULED, None),
    ("failed", row(delivery=FAILED), S.DELIVERY_FAILED, "FileTransferFailure"),
    ("tried again", row(delivery={**FAILED, "at": T - 7 * DAY, "tries": 2}), S.DISTRIBUTING, None),
    ("given up", row(delivery={**FAILED, "tries": 3}), S.FAILED_FINAL, "FileTransferFailure"),
    ("given up, then it came", row(delivery={**THERE, "failed_at": T, "tries": 3}), S.DELIVERED, None),
    ("there", row(delivery=THERE), S.DELIVERED, None),
    ("commanded", under(ARMING), S.ARMING, None),
    ("stored", under(ARMED), S.ARMED, None),
    ("refused by the edge", under({**ARMING, **OVER, "ended": ArmResult.WITHHELD}), S.DELIVERED, "stale_epoch"),
    (
        "refused by the hub too often",
        under({**ARMING, **OVER, "ended": ArmResult.REFUSED, "tries": 3}),
        S.FAILED_FINAL,
        "stale_epoch",
    ),
    ("called back", under(CALLED), S.CANCELLING, "pause"),
    ("the edge refused the cancel", under(CALL_REFUSED), S.CANCELLING, "pause"),
    ("cancelled by a pause", under({**CALLED, "ended": ArmResult.CANCELLED}), S.DELIVERED, None),
    ("by a later D", under({**CALLED, "cancel_for": Mode.RUN, "ended": ArmResult.CANCELLED}), S.DELIVERED, None),
    ("by a stop", under({**CALLED, "cancel_for": Mode.STOP, "ended": ArmResult.CANCELLED}), S.CANCELLED, "stop"),
    ("by a revocation", under({**CALLED, "cancel_for": Mode.REVOKED, "ended": ArmResult.CANCELLED}), S.CANCELLED,
     "revoked"),
    ("too late", under({**CALLED, "too_late_at": T + HOUR}), S.ACTIVATED, "cancel_too_late"),
    ("success", under({**ARMED, "outcome": 0, "outcome_at": T}), S.ACTIVATED, None),
    ("failure", under({**ARMED, "outcome": 3, "outcome_at": T, "tries": 1, "reason": "cs06_3"}), S.ACTIVATION_FAILED,
     "cs06_3"),
    ("failure for good", under({**ARMED, "outcome": 3, "outcome_at": T, "tries": 3, "reason": "cs06_3"}),
     S.FAILED_FINAL, "cs06_3"),
    ("no image held", row(delivery={**SENT, "at": None}, arming={**ARMED, "outcome": 1, "tries": 1}), S.SCHEDULED,
     None),
    ("a broken image", row(delivery={**SENT, "at": None}, arming={**ARMED, "outcome": 2, "tries": 1}), S.SCHEDULED,
     None),
    ("no image held, sent again", row(delivery=THERE, arming={**ARMED, "outcome": 1, "tries": 1, "reason": "cs06_1"}),
     S.ACTIVATION_FAILED, "cs06_1"),
    ("the old version runs", under({**ARMED, "outcome": -1, "tries": 1, "reason": "not_applied"}), S.NOT_APPLIED,
     "not_applied"),
    ("carried out although cancelled", under({**CALLED, "cancel_for": Mode.STOP, "ended": ArmResult.CANCELLED,
     "outcome": 0}), S.ACTIVATED, None),
    ("armed and silent", under(ARMED, silence=SILENT), S.SILENT, None),
    ("too late and silent", under({**CALLED, "too_late_at": T}, silence=SILENT), S.SILENT, None),
    ("handed over and silent", row(delivery=SENT, silence=SILENT), S.SILENT, None),
    ("unreachable", under(ARMED, silence={**SILENT, "unreachable_at": T + 4 * DAY}), S.UNREACHABLE, None),
    ("heard again", under(ARMED, silence={**SILENT, "unreachable_at": T + 4 * DAY, "last_word_at": T + DAY}), S.ARMED,
     None),
    ("an older word", under(ARMED, silence={**SILENT, "last_word_at": T + DAY - TICK}), S.SILENT, None),
    ("silent, but nothing is awaited", row(delivery=THERE, silence=SILENT), S.DELIVERED, None),
    ("the SMI shows it", under(ARMED, inventory={"firmware": "NEW"}), S.CONFIRMED, None),
    ("the SMI shows it although given up", row(delivery={**FAILED, "tries": 3}, inventory={"firmware": "NEW"}),
     S.CONFIRMED, None),
    ("an allowed predecessor", row(inventory={"firmware": "OLDER"}), S.SCHEDULED, None),
    ("another version", under(ARMED, inventory={"firmware": "OTHER"}), S.SUPERSEDED, "OTHER"),
    ("gone", under(ARMED, inventory={"status": DeviceStatus.WITHDRAWN}), S.DEPARTED, "Withdrawn"),
    ("in Recovery", row(inventory={"status": DeviceStatus.RECOVERY}), S.UNFIT, "not_commissioned"),
    ("another model", row(inventory={"make": MAKE._replace(model="CH10")}), S.UNFIT, "model_not_applicable"),
    ("another GBCS version", row(inventory={"make": MAKE._replace(gbcs="9")}), S.UNFIT, "gbcs_incompatible"),
    ("not recorded yet", BLANK._replace(inventory=UNRECORDED), S.UNFIT, "unknown_hub"),
    ("the same text of another model", row(inventory={"firmware": "NEW", "make": MAKE._replace(model="CH10")}),
     S.UNFIT, "model_not_applicable"),
    ("unfit while it travels, silent", row(delivery=SENT, silence=SILENT, inventory={"status": DeviceStatus.PENDING}),
     S.UNFIT, "not_commissioned"),
    ("failed and unfit", under({**ARMED, "outcome": 3, "tries": 1}, inventory={"status": DeviceStatus.PENDING}),
     S.UNFIT, "not_commissioned"),
    ("armed and unfit, not called back yet", under(ARMED, inventory={"status": DeviceStatus.PENDING}), S.ARMED, None),
    ("unfit and called back", under(CALLED, inventory={"status": DeviceStatus.PENDING}), S.CANCELLING,
     "not_commissioned"),
    ("unfit and cancelled", under({**CALLED, "ended": ArmResult.CANCELLED}, inventory={"status": DeviceStatus.PENDING}),
     S.UNFIT, "not_commissioned"),
    ("unfit and called back for a stop", under({**CALLED, "cancel_for": Mode.STOP, "ended": ArmResult.CANCELLED},
     inventory={"status": DeviceStatus.PENDING}), S.CANCELLED, "stop"),
    ("unfit and activated all the same", under({**ARMED, "outcome": 0, "outcome_at": T},
     inventory={"status": DeviceStatus.PENDING}), S.ACTIVATED, None),
    ("success with the old version", under(DOUBTED), S.ACTIVATED, "contradicted"),
    ("failure with the new version", under({**DOUBTED, "outcome": 3, "tries": 3}, inventory={"firmware": "NEW"}),
     S.ACTIVATED, "contradicted"),
    ("success with a version that is neither", under(DOUBTED, inventory={"firmware": "OTHER"}), S.ACTIVATED,
     "contradicted"),
    ("contradicted and silent", under(DOUBTED, silence=SILENT), S.SILENT, None),
    ("contradicted, then the SMI shows it", under(DOUBTED, inventory={"firmware": "NEW"}), S.CONFIRMED, None),
    ("contradicted and gone", under(DOUBTED, inventory={"status": DeviceStatus.WITHDRAWN}), S.DEPARTED, "Withdrawn"),
    ("activated, never confirmed, silent", under({**ARMED, "outcome": 0, "outcome_at": T}, silence=SILENT), S.SILENT,
     None),
    ("gone with the new version", row(inventory={"status": DeviceStatus.DECOMMISSIONED, "firmware": "NEW"}),
     S.CONFIRMED, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "state", "reason"), [line[1:] for line in STANDINGS], ids=[line[0] for line in STANDINGS]
)
def test_standing(given: Facts, state: HubState, reason: str | None) -> None:
    """Each state with each reason; the first that applies."""
    shown = show(given, ROLLOUT)
    assert (shown.state, shown.reason) == (state, reason)


def test_every_state_is_in_the_table() -> None:
    """Nothing of section 5 is left out."""
    assert {line[2] for line in STANDINGS} == set(HubState)


def test_any_version_may_be_replaced_when_no_predecessors_are_named() -> None:
    """An empty set allows any."""
    anything = replace(ROLLOUT, image=replace(ROLLOUT.image, predecessors=frozenset()))
    assert show(row(inventory={"firmware": "OTHER"}), anything).state is S.SCHEDULED


def shown(given: Facts, rollout: Rollout = ROLLOUT) -> Shown:
    return show(given, rollout)


@pytest.mark.parametrize(
    ("given", "rollout", "expected"),
    [
        (row(), ROLLOUT, RECEIVED),
        (facts(consent={"automatic_due": D}), ROLLOUT, D - 28 * DAY),
        (row(delivery={**SENT, "at": None, "refused_at": T}), ROLLOUT, T + 10 * MINUTE),
        (row(delivery={**FAILED, "tries": 1}), ROLLOUT, T - 7 * DAY),
        (row(delivery={**FAILED, "tries": 2}), ROLLOUT, T - 6 * DAY),
        (row(delivery=THERE), ROLLOUT, T - DAY),
        (row(delivery={**THERE, "delivered_at": T - HOUR}), ROLLOUT, T - HOUR),
        (facts(delivery=THERE, consent={"automatic_due": D}), ROLLOUT, D - DAY),
        (facts(delivery=THERE, consent={"answers": (said(ELEC, at=None), said(GAS, at=None))}), ROLLOUT, T - 8 * DAY),
        (under({**ARMING, "ended": ArmResult.REFUSED, "ended_at": T}), ROLLOUT, T + HOUR),
        (under({**ARMING, "ended": ArmResult.WITHHELD, "ended_at": T}), ROLLOUT, T + 10 * MINUTE),
        (under({**ARMED, "outcome": 3, "outcome_at": T, "tries": 1}), ROLLOUT, T + DAY),
        (under({**ARMED, "outcome": 3, "outcome_at": T, "tries": 2}), ROLLOUT, T + 2 * DAY),
        (under({**ARMED, "outcome": -1, "outcome_at": T, "tries": 1}), ROLLOUT, T + DAY),
        (under(ARMED), ROLLOUT, None),
        (row(delivery=SENT), ROLLOUT, None),
        (BLANK, ROLLOUT, None),
        (under({**ARMED, "outcome": 0}), ROLLOUT, None),
    ],
)  # fmt: skip
def test_claim_at(given: Facts, rollout: Rollout, expected: Instant | None) -> None:
    """A day before its time, after the waits of a retry; from the facts alone, so that a repeat moves nothing."""
    assert shown(given, rollout).claim_at == expected


def test_a_failed_activation_waits_for_consent_like_any_other() -> None:
    """After a change of Supplier nobody present has agreed: it is not armed again before they do, or D is near (I5)."""
    failed = {**ARMED, "outcome": 3, "outcome_at": T, "tries": 1}
    alone = (BOTH[0]._replace(party=PartyId("next"), since=T),)
    moved = under(failed)._replace(inventory=BLANK.inventory._replace(responsible=alone))
    assert (shown(moved).state, shown(moved).claim_at) == (S.ACTIVATION_FAILED, None)
    assert shown(moved).check_at == D - 28 * DAY
    near = moved._replace(consent=moved.consent._replace(automatic_due=D))
    assert shown(near).claim_at == D - DAY
    lone = moved._replace(inventory=BLANK.inventory, consent=BLANK.consent._replace(answers=(said(ELEC, at=None),)))
    assert (shown(lone).claim_at, shown(lone).check_at) == (None, CUT_OFF + TICK)


def test_nothing_is_armed_while_the_second_party_is_waited_for() -> None:
    """A long lead brings the image early; the lone instruction still waits for its answer_by (R3-6)."""
    early = replace(ROLLOUT, pacing=replace(PACING, automatic_lead=90 * DAY))
    lone = facts(delivery=THERE, consent={"answers": (said(ELEC, at=None),), "automatic_due": D})
    found = shown(lone, early)
    assert (found.state, found.answer_by) == (S.DELIVERED, CUT_OFF)
    assert found.claim_at == found.check_at == CUT_OFF + TICK


@pytest.mark.parametrize(
    ("given", "rollout", "expected"),
    [
        (BLANK, ROLLOUT, D - 28 * DAY),
        (facts(consent={"answers": (said(ELEC),)}), ROLLOUT, (T - 14 * DAY).replace(hour=0) + TICK),
        (facts(consent={"answers": (said(ELEC),)}), MANDATORY, D - 28 * DAY),
        (row(), ROLLOUT, None),
        (row(delivery=SENT), ROLLOUT, T + 5 * DAY),
        (row(delivery=THERE), ROLLOUT, None),
        (under(ARMING), ROLLOUT, T + DAY),
        (under(ARMED), ROLLOUT, T + DAY),
        (under(CALLED), ROLLOUT, T + DAY),
        (under(CALL_REFUSED), ROLLOUT, T - HOUR + SECOND),
        (under({**CALL_REFUSED, "cancel_refusals": 4}), ROLLOUT, T - HOUR + 8 * SECOND),
        (under({**CALL_REFUSED, "cancel_refusals": 1_000}), ROLLOUT, T - HOUR + 64 * SECOND),
        (under(CALL_REFUSED, silence=SILENT), ROLLOUT, T - HOUR + SECOND),
        (under({**CALL_REFUSED, "ended": ArmResult.CANCELLED}), ROLLOUT, None),
        (under({**CALLED, "too_late_at": T + 2 * HOUR}), ROLLOUT, T + DAY + 2 * HOUR),
        (under(ARMED, silence=SILENT), ROLLOUT, T + 2 * DAY),
        (under(ARMED, silence={**SILENT, "last_word_at": T + DAY}), ROLLOUT, T + 2 * DAY),
        (under(ARMED, silence={**SILENT, "read_refused_at": T + DAY}), ROLLOUT, T + DAY + 10 * MINUTE),
        (under(ARMED, silence={**SILENT, "unreachable_at": T + 4 * DAY}), ROLLOUT, None),
        (under({**ARMED, "outcome": 0, "outcome_at": T}), ROLLOUT, T + DAY),
        (under(DOUBTED), ROLLOUT, T),
        (under(DOUBTED, silence={**SILENT, "last_word_at": T + DAY}), ROLLOUT, T + 2 * DAY),
        (row(inventory={"status": DeviceStatus.RECOVERY}), ROLLOUT, None),
        (BLANK, STOPPED, None),
        (under(ARMED), STOPPED, T + DAY),
    ],
)
def test_check_at(given: Facts, rollout: Rollout, expected: Instant | None) -> None:
    """When time itself becomes a fact; a release that has ended waits for nobody, but still reads silent hubs."""
    assert shown(given, rollout).check_at == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (row(), T),
        (BLANK, D),
        (facts(consent={"answers": (said(ELEC, at=None), said(GAS, at=None))}), None),
        (under({**ARMED, "planned_for": T - DAY}), T - DAY),
        (under({**ARMED, "planned_for": T - DAY, "outcome": 0}), T - DAY),
        (under({**ARMED, "planned_for": T - DAY, "outcome": 3}), T),
        (under({**ARMED, "planned_for": T - DAY, "ended": ArmResult.CANCELLED, "cancel_for": Mode.PAUSE}), T),
    ],
)
def test_the_time_shown_is_the_armed_one_while_armed_and_the_agreed_one_otherwise(
    given: Facts, expected: Instant | None
) -> None:
    """An armed hub is not moved by what is said later; a cancelled one is as the table says."""
    assert shown(given).activate_at == expected
