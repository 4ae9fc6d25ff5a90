"""What happened in one run, taken from the order of commits: the halt, the edges, the hubs, the scheduler."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from chfw_common.events.response import ResponseKind
from chfw_common.events.rollout_progress import ProgressKind
from chfw_common.kernel.ids import parse_hub_id
from chfw_common.kernel.instants import Instant
from chfw_common.topology import ROLLOUT_PROGRESSED
from tests.load.halt_bench.wal import ANSWERS, COMMANDS, Change, Commit, Row


class Moment(NamedTuple):
    """A commit: its place in the log, which decides what came first, and the time of the machine."""

    place: int
    at: Instant


class Deed(NamedTuple):
    """Something was done for a hub under an epoch. `counter` is that of its command, 0 for an image."""

    hub: int
    epoch: int
    counter: int
    moment: Moment


@dataclass(slots=True)
class Observed:
    """The evidence of a run. Edges and hubs are seen in the tables of the simulated network, never in the scheduler's.

    `forwarded`: an edge let a CS06 pass and the hub said yes, to a new one or a repeat. `armed`: a hub took a new one.
    `images`: an edge let an image pass. `activated`: a hub activated the release. `claimed`, `commanded`: what
    the scheduler claimed, and the messages that it wrote.
    `at_risk`: hubs whose CS06 may still fire by the ledger at the commit that declared the halt effective;
    `told_at_risk` is how many of them the same commit tells.
    """

    release_id: str
    halt: int
    requested: Moment | None = None
    fenced: Moment | None = None
    effective: Moment | None = None
    forwarded: list[Deed] = field(default_factory=list)
    armed: list[Deed] = field(default_factory=list)
    images: list[Deed] = field(default_factory=list)
    activated: list[Deed] = field(default_factory=list)
    claimed: list[Deed] = field(default_factory=list)
    commanded: list[Deed] = field(default_factory=list)
    at_risk: frozenset[int] = frozenset()
    told_at_risk: int | None = None


class Observer:
    """Follows the commits of one release, from its ledger rows as they are; its hubs have never had a command."""

    def __init__(self, release_id: str, halt: int, ledger: Iterable[Row]) -> None:
        self.seen = Observed(release_id, halt)
        self._devices: dict[str | None, Row] = {}
        self._ledger: dict[str | None, Row] = {row["hub"]: row for row in ledger}

    def follow(self, commits: Iterable[Commit]) -> None:
        """Take in commits, in their order."""
        for commit in commits:
            moment = Moment(commit.place, commit.at)
            for change in commit.changes:
                self._take(change, moment)
            if self.seen.effective == moment:
                self.seen.at_risk = frozenset(_number(row["hub"]) for row in self._ledger.values() if self._fires(row))

    def _take(self, change: Change, moment: Moment) -> None:
        table, row = change
        if table == "device_sim.device":
            self._device(row, moment)
        elif table == COMMANDS:
            self._message_of_scheduler(row, moment)
        elif table == ANSWERS:
            self._answer(row, moment)
        elif row["release_id"] != self.seen.release_id:
            return
        elif table == "scheduler.ledger":
            self._claim(row, moment)
        elif table == "scheduler.decision":
            self._stored(row, moment)
        elif table == "governance.decision" and _number(row["epoch"]) == self.seen.halt:
            self.seen.requested = self.seen.requested or moment

    def _stored(self, row: Row, moment: Moment) -> None:
        if _number(row["min_epoch"]) != self.seen.halt:
            return
        self.seen.fenced = self.seen.fenced or moment
        if row["effective_at"] is not None:
            self.seen.effective = self.seen.effective or moment

    def _device(self, row: Row, moment: Moment) -> None:
        seen, before = self.seen, self._devices.get(row["hub"], {})
        self._devices[row["hub"]] = row
        hub, counter = _number(row["hub"]), _number(row["counter"])
        accepted = row["receipt_kind"] == "activation_accepted" and row["receipt_release"] == seen.release_id
        if accepted and row["counter"] != before.get("counter"):
            seen.armed.append(Deed(hub, _number(row["receipt_epoch"]), counter, moment))
        coming = (row["coming_release"], row["coming_epoch"])
        if coming[0] == seen.release_id and coming != (before.get("coming_release"), before.get("coming_epoch")):
            seen.images.append(Deed(hub, _number(coming[1]), 0, moment))
        done = (row["activated_release"], row["activations"])
        if done[0] == seen.release_id and done != (before.get("activated_release"), before.get("activations")):
            seen.activated.append(Deed(hub, _number(row["receipt_epoch"]), counter, moment))

    def _claim(self, row: Row, moment: Moment) -> None:
        before = self._ledger.get(row["hub"], {})
        self._ledger[row["hub"]] = row
        hub, counter = _number(row["hub"]), _number(row["arm_counter"])
        if row["arm_at"] is not None and row["arm_counter"] != before.get("arm_counter"):
            self.seen.claimed.append(Deed(hub, _number(row["arm_epoch"]), counter, moment))
        if row["dist_at"] is not None and row["dist_at"] != before.get("dist_at"):
            self.seen.claimed.append(Deed(hub, _number(row["dist_epoch"]), 0, moment))

    def _message_of_scheduler(self, row: Row, moment: Moment) -> None:
        message = self._read(row)
        if message is None:
            return
        if row["topic"] == ROLLOUT_PROGRESSED.name:
            if (message["kind"], message["epoch"]) == (ProgressKind.EFFECTIVE, self.seen.halt):
                self.seen.told_at_risk = message["at_risk"]
            return
        items = message["items"] if "items" in message else [{"hub": hub} for hub in message["hubs"]]
        for item in items:
            counter = item.get("counter") or 0
            self.seen.commanded.append(Deed(parse_hub_id(item["hub"]), message["epoch"], counter, moment))

    def _answer(self, row: Row, moment: Moment) -> None:
        message = self._read(row)
        for item in [] if message is None else message["items"]:
            if item["kind"] == ResponseKind.ACTIVATION_ACCEPTED:
                deed = Deed(parse_hub_id(item["hub"]), item["epoch"], item["counter"], moment)
                self.seen.forwarded.append(deed)

    def _read(self, row: Row) -> Any:
        """The event of an outbox row, None for that of another release."""
        message = orjson.loads(bytes.fromhex((row["payload"] or "").removeprefix("\\x")))
        return message if message["release_id"] == self.seen.release_id else None

    def _fires(self, row: Row) -> bool:
        """Whether the CS06 of a row may still fire, and was made before the halt."""
        if row["arm_at"] is None or row["outcome"] is not None or row["state"] == "confirmed":
            return False
        return row["arm_ended"] in {None, "withheld"} and _number(row["arm_epoch"]) < self.seen.halt


def _number(text: str | None) -> int:
    if text is None:
        raise ValueError("a number is missing in the evidence")
    return int(text)
