"""Stop really stops, on real servers and six processes: a short halt campaign, and proof that it would notice.

The whole campaign is `python -m tests.load.halt_bench`. Here no figure decides, only what edges forwarded and hubs did.
"""

import asyncio

from chfw_cli.local.state import StateDir
from tests.load.halt_bench.campaign import carry_out, for_control
from tests.load.halt_bench.draw import Edge, Plan, Process
from tests.load.halt_bench.figures import Ran
from tests.load.halt_bench.sabotage import Control
from tests.load.halt_bench.stand import forwarded_by
from tests.load.halt_bench.verdict import Violations

HUBS, SEED = 300, 1
PLANS = [
    Plan(0, "stop", 0.2, Process.FREEZE_DEVICE_SIM, 0.1, forwarded_by() + 1.0, Edge.CUT_OFF),
    Plan(1, "pause", 0.1, Process.KILL_SCHEDULER, 0.2),
    Plan(2, "stop", 2.2, Process.KILL_DEVICE_SIM, 2.1, edge=Edge.BEHIND),
]
"""An edge that hears nothing and stands still beyond its permits; a scheduler that dies while it calls back; hubs that
act while the network dies."""
LOOKS = 8
"""Runs in which a control may find what it looks for; as a rule the first does."""


def test_nothing_passes_an_edge_once_a_halt_is_effective(state_dir: StateDir) -> None:
    """I6, I7, I8 under faults; every run comes to its end, and its evidence agrees with itself."""
    campaign = asyncio.run(carry_out(state_dir, PLANS, hubs=HUBS, seed=SEED, control=None, say=print))
    assert [run.trouble for run in campaign.runs] == [None] * len(PLANS)
    assert campaign.violations == Violations()
    assert sum(verdict.forwarded for verdict in campaign.verdicts) > 0


def test_the_campaign_notices_an_edge_without_its_fence(state_dir: StateDir) -> None:
    def found(ran: Ran) -> bool:
        return ran.verdict is not None and ran.verdict.violations.forwarded > 0

    plans = for_control(Control.FENCE, [Plan(number, "stop", 0.1 + 0.05 * number) for number in range(LOOKS)])
    campaign = asyncio.run(
        carry_out(state_dir, plans, hubs=HUBS, seed=SEED, control=Control.FENCE, say=print, enough=found)
    )
    assert campaign.ok
    assert campaign.violations.forwarded > 0
    assert campaign.violations.claimed == campaign.violations.commanded == 0
