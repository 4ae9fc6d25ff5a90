"""Stop really stops, tried on real servers while processes die, freeze, and edges are wrong.

usage: python -m tests.load.halt_bench [--runs 100] [--hubs 3000] [--seed 8] [--control fence|permit|early]

Six processes, Kafka and Postgres of its own. In each run thousands of hubs are let go, and at a random instant the DCC
stops or pauses the release; the scheduler or device-sim is killed or stands still for 2 to 30 s, one edge has a clock
that is 10 s wrong or hears of no decision. What edges forwarded and hubs did is read from outside, in the order of the
commits. Exit code 0 only if no CS06 passed an edge and no unlisted hub activated after the halt was effective.

`--control` takes one protection away: then exit code 0 only if violations were found.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from chfw_cli.local.state import StateDir
from tests.load.halt_bench.campaign import carry_out, for_control
from tests.load.halt_bench.draw import MOST_FREEZE, draw_plans
from tests.load.halt_bench.estate import MOST_HUBS
from tests.load.halt_bench.figures import Campaign
from tests.load.halt_bench.sabotage import Control
from tests.load.halt_bench.stand import MAX_SKEW

MOST_RUNS = 10_000


def say(text: str) -> None:
    """Tell whoever watches."""
    print(text, flush=True)  # noqa: T201


def main() -> int:
    """Run the campaign and print what came of it; gives the exit code."""
    arguments = _arguments()
    control = None if arguments.control is None else Control(arguments.control)
    plans = draw_plans(arguments.seed, arguments.runs, window=arguments.window, most_freeze=arguments.most_freeze)
    if arguments.only is not None:
        plans = [plan for plan in plans if plan.number == arguments.only]
    if control is not None:
        plans = for_control(control, plans, arguments.max_skew)
    with _place(arguments.state) as state:
        campaign = asyncio.run(
            carry_out(
                state,
                plans,
                hubs=arguments.hubs,
                seed=arguments.seed,
                control=control,
                say=say,
                max_skew=arguments.max_skew,
            )
        )
    return _report(campaign)


@contextlib.contextmanager
def _place(kept: Path | None) -> Iterator[StateDir]:
    """Where the servers and the logs are: the directory that is to be kept, or one that is removed at the end."""
    if kept is not None:
        yield StateDir(kept.absolute())
        return
    with tempfile.TemporaryDirectory(prefix="chfw-halts-") as place:
        Path(place).chmod(0o755)
        yield StateDir(Path(place))


def _report(campaign: Campaign) -> int:
    for line in campaign.table():
        say(line)
    say(orjson.dumps(campaign.as_json()).decode())
    return 0 if campaign.ok else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=_up_to(MOST_RUNS), default=100)
    parser.add_argument("--hubs", type=_up_to(MOST_HUBS), default=3_000, help="of each run")
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--window", type=float, default=4.0, help="seconds within which a halt comes")
    parser.add_argument("--most-freeze", type=float, default=MOST_FREEZE, help="seconds that a process stands still")
    parser.add_argument("--max-skew", type=float, default=MAX_SKEW, help="seconds that clocks may differ")
    parser.add_argument("--control", choices=list(Control))
    parser.add_argument("--only", type=int, help="the number of the one run to repeat")
    parser.add_argument("--state", type=Path, help="a new directory for servers and logs, which is kept")
    return parser.parse_args()


def _up_to(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text)
        if not 1 <= number <= most:
            raise argparse.ArgumentTypeError(f"from 1 to {most}")
        return number

    return read


if __name__ == "__main__":
    sys.exit(main())
