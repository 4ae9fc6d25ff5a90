"""Every verdict and every reason that the code can give has a line in the catalogue."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from chfw_common.kernel.applicability import Inapplicable
from chfw_common.kernel.catalogue import REASONS, VERDICTS, cs06_reason
from chfw_common.kernel.rollout import Mode
from chfw_device_sim.domain.cs06 import NOT_FUTURE_DATED
from chfw_device_sim.domain.edge import Refusal
from chfw_device_sim.domain.fate import TransferFailure
from chfw_instruction.domain.verdict import Verdict
from chfw_notifier.domain.view import TOO_LATE

DOMAINS = sorted((Path(__file__).parents[3] / "services").glob("*/src/*/domain/*.py"))
DECISIONS = "decide.py"
"""The reason of a decision is a text of the DCC, and stands with no hub."""


def test_every_verdict_has_a_line_in_the_order_in_which_they_are_looked_for() -> None:
    assert list(VERDICTS) == [verdict.value for verdict in Verdict]
    assert {reason.value for reason in Inapplicable} <= set(VERDICTS)


@pytest.mark.parametrize("kind", [Mode, Refusal, TransferFailure])
def test_every_reason_that_an_edge_a_hub_or_a_decision_gives_has_a_line(
    kind: type[Mode] | type[Refusal] | type[TransferFailure],
) -> None:
    assert {member.value for member in kind} <= set(REASONS)


def test_every_outcome_of_a_cs06_has_a_line() -> None:
    assert {cs06_reason(code) for code in range(-1, 300) if code} <= set(REASONS)
    assert [cs06_reason(code) for code in (1, 2, 3, 4)] == ["cs06_1", "cs06_2", "cs06_3", "cs06_other"]


def written(tree: ast.AST) -> Iterator[ast.expr]:
    """What stands in a module as the reason of something: `reason=` of a call, and the second part of a Standing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "reason")
            if isinstance(node.func, ast.Name) and node.func.id == "Standing":
                yield from node.args[1:]


def test_no_rule_writes_a_reason_that_has_no_line() -> None:
    rules = [path for path in DOMAINS if path.name != DECISIONS]
    reasons = [(path.name, part) for path in rules for part in written(ast.parse(path.read_text()))]
    texts = {part.value for _, part in reasons if isinstance(part, ast.Constant) and part.value is not None}
    assert {"timed_out", "not_applied", "read", "cancel_too_late"} <= texts
    assert texts | {TOO_LATE, NOT_FUTURE_DATED} <= set(REASONS)
    # A text that is put together could be anything.
    assert [path for path, part in reasons if isinstance(part, ast.JoinedStr | ast.BinOp)] == []


def test_a_line_is_a_sentence() -> None:
    for name, said in {**VERDICTS, **REASONS}.items():
        assert said.endswith("."), name
        assert said[0].isupper() or said.startswith("`"), name
