"""A campaign: one start of everything, then one run after the other."""

import time
from collections.abc import Callable, Sequence

from chfw_cli.local.state import StateDir
from tests.load.halt_bench.draw import Edge, Plan, Process
from tests.load.halt_bench.figures import Campaign, Ran
from tests.load.halt_bench.run import run
from tests.load.halt_bench.sabotage import Control
from tests.load.halt_bench.stand import MAX_SKEW, forwarded_by, standing

Say = Callable[[str], None]
_AFTER = 0.05
"""Seconds from the moment at which a control freezes device-sim to the halt."""


async def carry_out(
    state: StateDir,
    plans: Sequence[Plan],
    *,
    hubs: int,
    seed: int,
    control: Control | None,
    say: Say,
    max_skew: float = MAX_SKEW,
    enough: Callable[[Ran], bool] = lambda _: False,
) -> Campaign:
    """The runs, one after the other, up to one that is enough, or that does not come to its end."""
    campaign = Campaign(seed, hubs, control)
    begun = time.monotonic()
    async with standing(state, control, max_skew) as stand:
        await stand.prepare(plans, hubs, seed)
        say(f"seed {seed}: {len(plans)} releases of {hubs:,} hubs are ready after {time.monotonic() - begun:.0f} s")
        for plan in plans:
            ran = await run(stand, plan)
            campaign.runs.append(ran)
            say(f"run {plan.number:>3}  {plan}: {told(ran)}")
            if ran.verdict is None:
                say("what a run has left open would disturb the next: the campaign ends here")
                break
            if enough(ran):
                break
    campaign.seconds = time.monotonic() - begun
    return campaign


def for_control(control: Control, plans: Sequence[Plan], max_skew: float = MAX_SKEW) -> list[Plan]:
    """The plans with the faults under which nothing but the protection in question can help."""
    if control is Control.FENCE:
        return [_plain(plan) for plan in plans]
    # The edge hears of no halt, and device-sim stands still until after the instant at which permits must have run out.
    return [_frozen(plan, forwarded_by(max_skew) + 1.0) for plan in plans]


def _plain(plan: Plan) -> Plan:
    return Plan(plan.number, plan.mode, plan.halt_at)


def _frozen(plan: Plan, frozen: float) -> Plan:
    """Device-sim stands still as soon as the first CS06 has passed an edge: others are then in the middle of it."""
    process, edge = Process.FREEZE_DEVICE_SIM, Edge.CUT_OFF
    return Plan(plan.number, plan.mode, _AFTER, process, frozen=frozen, edge=edge, forwarding=True)


def told(ran: Ran) -> str:
    """A run in a line."""
    verdict = ran.verdict
    if ran.trouble is not None or verdict is None:
        return f"proves nothing: {ran.trouble}"
    return (
        f"{verdict.forwarded} CS06 forwarded, {verdict.forwarded_since_request} since the halt, fenced after"
        f" {verdict.fenced:.3f} s, effective {verdict.effective:.3f}, last command {verdict.last_command:.3f};"
        f" {verdict.activated} activated, {verdict.at_risk} at risk of which {verdict.acted_at_risk} acted;"
        + (
            f" VIOLATIONS {verdict.violations}, up to {verdict.late:.3f} s late"
            if verdict.violations.total
            else " clean"
        )
    )
