"""A stack on the paced clock, before anybody has set it."""

from datetime import timedelta

import asyncpg

from chfw_cli.local.services import DATABASE
from chfw_cli.local.stack import Stack
from chfw_cli.local.state import StateDir
from chfw_common.runtime.clock import machine_now, read_pace


async def test_a_fresh_stack_runs_on_the_paced_clock_which_stands_still(state_dir: StateDir) -> None:
    before = machine_now()
    for _ in range(2):
        async with Stack(state_dir, clock="paced", services=("smi",)) as stack:
            assert all(process.ready for process in stack.status())
            admin = await asyncpg.connect(stack.postgres.dsn(DATABASE))
            try:
                pace = await read_pace(admin)
            finally:
                await admin.close()
            assert before <= pace.anchor_story == pace.at(machine_now() + timedelta(days=1)) <= machine_now()
