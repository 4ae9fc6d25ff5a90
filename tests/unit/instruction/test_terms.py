"""What refuses a request as a whole: each reason, and the time at its boundary."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chfw_common.kernel.applicability import Image
from chfw_common.kernel.ids import ReleaseId
from chfw_common.kernel.instants import parse_instant
from chfw_common.kernel.rollout import AnswerKind, Mode, Rule
from chfw_instruction.domain.terms import Terms, WholeRefusal, counted_time, refuse_whole

NOW = parse_instant("2026-10-01T09:00:00Z")
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
IMAGE = Image("Acme", "CH9", frozenset({"H1"}), "9.2", frozenset(), frozenset())
TERMS = Terms(
    ReleaseId("CH-9-2"),
    IMAGE,
    True,
    Rule.VOLUNTARY,
    Mode.HELD,
    NOW + timedelta(days=180),
    (),
    NOW + timedelta(days=14),
    {},
)
MANDATORY = replace(TERMS, rule=Rule.MANDATORY)
ASKED: dict[str, object] = {"kind": AnswerKind.INSTRUCT, "activate_at": NOW, "entries": 3, "limit": 3, "now": NOW}
BLANK: dict[str, object] = {"activate_at": None}


@pytest.mark.parametrize(
    ("terms", "changes", "expected"),
    [
        (TERMS, {}, None),
        (TERMS, BLANK, None),
        (None, {}, WholeRefusal.UNKNOWN_RELEASE),
        (replace(TERMS, mode=Mode.REVOKED), {}, WholeRefusal.RELEASE_REVOKED),
        (replace(TERMS, mode=Mode.STOP), {}, WholeRefusal.RELEASE_STOPPED),
        (replace(TERMS, mode=Mode.PAUSE), {}, None),
        (replace(TERMS, cpl_active=False), {}, WholeRefusal.CPL_NOT_ACTIVE),
        (TERMS, {"kind": AnswerKind.DECLINE, **BLANK}, None),
        (MANDATORY, {"kind": AnswerKind.DECLINE, **BLANK}, WholeRefusal.DECLINE_UNDER_MANDATORY),
        (MANDATORY, {"kind": AnswerKind.WITHDRAW, **BLANK}, None),
        (TERMS, {"kind": AnswerKind.AGREE}, None),
        (TERMS, {"kind": AnswerKind.AGREE, **BLANK}, WholeRefusal.TIME_REQUIRED),
        (TERMS, {"kind": AnswerKind.DECLINE}, WholeRefusal.TIME_NOT_ALLOWED),
        (TERMS, {"kind": AnswerKind.WITHDRAW}, WholeRefusal.TIME_NOT_ALLOWED),
        (TERMS, {"activate_at": NOW - TICK}, WholeRefusal.TIME_IN_PAST),
        (TERMS, {"entries": 0}, WholeRefusal.EMPTY_LIST),
        (TERMS, {"entries": 4}, WholeRefusal.TOO_MANY_ENTRIES),
    ],
)
def test_each_reason(terms: Terms | None, changes: dict[str, object], expected: WholeRefusal | None) -> None:
    assert refuse_whole(terms, **{**ASKED, **changes}) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stated", "counts"),
    [("09:00:00", "09:00:00"), ("09:00:00.000001", "09:15:00"), ("09:14:59", "09:15:00"), ("23:59:59", "00:00:00")],
)
def test_a_time_counts_from_the_next_quarter_of_an_hour(stated: str, counts: str) -> None:
    """Never before the stated time; who agrees repeats a time as it was shown."""
    at = parse_instant(f"2026-10-01T{stated}Z")
    expected = parse_instant(f"2026-10-0{2 if counts < stated else 1}T{counts}Z")
    assert counted_time(AnswerKind.INSTRUCT, at) == expected
    assert counted_time(AnswerKind.AGREE, at) == at
    assert counted_time(AnswerKind.INSTRUCT, None) is None
