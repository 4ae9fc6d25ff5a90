"""The scheduler of a pure history: rows in memory, and the scheduler's own rules.

What the stages do with statements is done with dictionaries here: find, number, keep. What they decide is not
repeated; it is asked of the same functions.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from chfw_common.events.decision import RolloutDecision
from chfw_common.events.fenced import RolloutFenced
from chfw_common.events.instruction import InstructionReceived
from chfw_common.events.release import ReleaseNotified
from chfw_common.events.response import HubResponse, ResponseItem
from chfw_common.events.rollout_progress import ProgressKind, RolloutProgressed
from chfw_common.events.smi import SmiHub, SmiUpdated
from chfw_common.kernel.hubs import HubRecord
from chfw_common.kernel.ids import HubId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import FINAL_STATES, HubState
from chfw_common.runtime.service import Outgoing, Received, release_event
from chfw_common.topology import ROLLOUT_PROGRESSED, partition_of_hub
from chfw_scheduler.domain import hear
from chfw_scheduler.domain.act import (
    Action,
    call_back,
    claim_if_due,
    milliseconds,
    needs_counter,
    numbered,
    pass_time,
)
from chfw_scheduler.domain.facts import UNRECORDED, Facts, Row, Shown, recorded
from chfw_scheduler.domain.merge import Answer, Terms
from chfw_scheduler.domain.rollout import Decision, Rollout, forwarded_by
from chfw_scheduler.domain.state import consented, show
from chfw_scheduler.domain.totals import Pace, Totals, counted, told_again_at, totals_of
from chfw_scheduler.settings import Settings
from chfw_scheduler.stages.command import Commanded, commands
from chfw_scheduler.stages.observe import inventory_of
from chfw_scheduler.stages.observe import learn as learn_of_record
from chfw_scheduler.stages.progress import as_seen, derive, progressed, telling
from chfw_scheduler.stages.report import kind_of
from chfw_scheduler.stages.respond import arm_at_once, call_back_again
from chfw_scheduler.stages.respond import learn as learn_of_answer
from tests.histories.views import Late

Decide = Callable[[Facts], tuple[Facts, Action | None]]
Job = Callable[[Instant], list[Outgoing]]
_NONE: Mapping[HubId, Shown] = {}


class Scheduler:
    """One release. `register` is the inventory's published view: the scheduler looks hubs up in it."""

    def __init__(self, settings: Settings, register: Mapping[HubId, HubRecord]) -> None:
        self.settings, self.pacing = settings, settings.pacing()
        self.pace = Pace(settings.totals_every, settings.risk_every)
        self.register = register
        self.notice: ReleaseNotified | None = None
        self.active_since: Instant | None = None
        self.decision: RolloutDecision | None = None
        self.rows: dict[HubId, Row] = {}
        self.late: set[Late] = set()
        self.jobs: list[Job] = []
        self._rollout: Rollout | None = None
        self._waiting: list[InstructionReceived] = []
        self._counters: dict[int, int] = {}
        self._fencing: tuple[int, Instant] | None = None
        self._obeyed: dict[str, int] = {}
        self._told: tuple[Totals, Instant] | None = None
        self.ticks = (self._claim, self._watch, self._expire, self._report, self._work)

    def hear(self, message: Received[Any], now: Instant) -> list[Outgoing]:
        """Take an event in."""
        event = message.event
        match event:
            case ReleaseNotified():
                return self._take_notice(event, now)
            case RolloutDecision():
                return self._take_decision(event, now)
            case RolloutFenced():
                self._obeyed[event.edge] = max(event.min_epoch, self._obeyed.get(event.edge, 0))
                return self._if_obeyed(now)
            case InstructionReceived():
                return self._merge(event, now)
            case HubResponse():
                return self._take_answers(event.items, now)
            case SmiUpdated():
                return self._take_records(event.items, now)
        raise TypeError(type(event))

    @property
    def min_epoch(self) -> int:
        """The last halt."""
        return 0 if self.decision is None else self.decision.min_epoch

    def rollout(self) -> Rollout:
        """The release, which must be known."""
        if self._rollout is None:
            assert self.notice is not None
            self._rollout = self._read(self.notice)
        return self._rollout

    def _read(self, notice: ReleaseNotified) -> Rollout:
        decided = self.decision
        dates = notice if decided is None else decided
        return Rollout(
            release_id=notice.release_id,
            image=notice.cpl.image,
            image_hash=notice.cpl.image_hash,
            terms=Terms(notice.rule, dates.automatic_date, notice.lone_lead, notice.answer_min, notice.pilot_opens),
            decision=Decision()
            if decided is None
            else Decision(decided.epoch, decided.min_epoch, decided.mode, decided.mode_since),
            pacing=self.pacing,
            cpl_active=notice.cpl.state == "Active",
            cpl_active_since=self.active_since,
            waves=dates.waves,
        )

    # Notices and decisions

    def _take_notice(self, event: ReleaseNotified, now: Instant) -> list[Outgoing]:
        before = self.notice
        if before is not None and event.version <= before.version:
            return []
        if before is not None and before.cpl.state != "Active" and event.cpl.state == "Active":
            self.active_since = now
        self.notice, self._rollout = event, None
        self._told = self._told or (Totals({}, 0), now)
        if before is None:
            self.jobs += [self._enrol, self._merge_waiting]
        elif before.cpl.image != event.cpl.image:
            self.jobs += [self._enrol, self._redate]
        return []

    def _take_decision(self, event: RolloutDecision, now: Instant) -> list[Outgoing]:
        halted = self.min_epoch
        if self.decision is not None and event.epoch <= self.decision.epoch:
            return []
        known = None if self.notice is None else self.rollout()
        self.decision = event.model_copy(update={"min_epoch": max(halted, event.min_epoch)})
        self._rollout = None
        if known is not None and (known.terms.automatic_date, known.waves) != (event.automatic_date, event.waves):
            self.jobs.append(self._redate)
        if event.min_epoch <= halted:
            return []
        settings = self.settings
        effective_by = forwarded_by(now, self.pacing, settings.max_skew, settings.forward_within)
        self._fencing = (event.min_epoch, effective_by)
        self.jobs.insert(0, lambda at: self._call_back(event.min_epoch, at))
        return [self._tell(ProgressKind.FENCING, event.min_epoch, now), *self._if_obeyed(now)]

    def _if_obeyed(self, now: Instant) -> list[Outgoing]:
        if self._fencing is None:
            return []
        halt = self._fencing[0]
        if any(self._obeyed.get(edge, 0) < halt for edge in self.settings.edges):
            return []
        self._fencing = None
        return [self._tell(ProgressKind.EFFECTIVE, halt, now)]

    def _totals(self) -> Totals:
        keys = Counter(counted(row.facts, row.shown.state) for row in self.rows.values() if row.shown is not None)
        return totals_of(keys, self.min_epoch)

    def _tell(self, kind: ProgressKind, epoch: int, now: Instant) -> Outgoing:
        found = self._totals()
        at = now if self._told is None else max(now, self._told[1])
        self._told = (found, at)
        assert self.decision is not None or self.notice is not None
        release_id = (self.decision or self.rollout()).release_id
        event = RolloutProgressed(
            release_id=release_id, kind=kind, epoch=epoch, at=at, totals=found.hubs, at_risk=found.at_risk
        )
        return release_event(ROLLOUT_PROGRESSED, release_id, event)

    # Rows

    def _open_rows(self, found: Iterable[Facts]) -> list[Outgoing]:
        rollout, told = self.rollout(), []
        for facts in found:
            if facts.hub not in self.rows:
                agreed = consented(facts, rollout)
                shown = show(facts, rollout, agreed)
                self.rows[facts.hub] = Row(1, facts, shown)
                told.append(telling(facts, shown, agreed, 1))
        return progressed(rollout, told)

    def _write_back(
        self, facts: Mapping[HubId, Facts], at: Instant, passed: Mapping[HubId, Shown] = _NONE
    ) -> list[Outgoing]:
        rollout = self.rollout()
        derived = derive(rollout, [(self.rows[hub], known) for hub, known in facts.items()], at, passed)
        for row, known, shown in derived.saved:
            self.rows[known.hub] = Row(row.version + derived.steps, known, shown)
        return progressed(rollout, derived.told_before) + progressed(rollout, derived.told)

    def _number(self, facts: dict[HubId, Facts], decided: Sequence[Commanded], now: Instant) -> list[Commanded]:
        """Each command gets the next counter of its partition."""
        given = []
        for one in decided:
            action = one.action
            if needs_counter(action):
                last = max(self._counters.get(one.part, 0), milliseconds(now) - 1) + 1
                self._counters[one.part] = last
                facts[one.hub], action = numbered(facts[one.hub], action, last)
            given.append(Commanded(one.part, one.hub, action))
        return given

    def _carry_out(self, rows: Iterable[Row], decide: Decide, now: Instant) -> list[Outgoing]:
        facts: dict[HubId, Facts] = {}
        decided = []
        for row in rows:
            facts[row.facts.hub], action = decide(row.facts)
            if action is not None:
                decided.append(Commanded(row.facts.part, row.facts.hub, action))
        given = self._number(facts, decided, now)
        told = self._write_back(facts, now)
        return commands(self.rollout(), given, now) + told

    # Jobs

    def _enrol(self, _: Instant) -> list[Outgoing]:
        rollout = self.rollout()
        found = (Facts(hub, partition_of_hub(hub), recorded(record)) for hub, record in sorted(self.register.items()))
        return self._open_rows([facts for facts in found if rollout.misfit(facts.inventory) is None])

    def _merge_waiting(self, now: Instant) -> list[Outgoing]:
        waited, self._waiting = self._waiting, []
        return list(chain.from_iterable(self._merge(event, now) for event in waited))

    def _call_back(self, halt: int, now: Instant) -> list[Outgoing]:
        if self.notice is None or self.min_epoch > halt:
            return []
        rollout = self.rollout()
        rows = [
            row
            for row in self.rows.values()
            if row.facts.arming.at is not None and row.facts.arming.may_fire and row.facts.arming.epoch < halt
        ]
        return self._carry_out(rows, lambda facts: call_back(facts, rollout, now), now)

    def _redate(self, now: Instant) -> list[Outgoing]:
        rollout, finals = self.rollout(), FINAL_STATES - {HubState.SUPERSEDED}
        rows = [row for row in self.rows.values() if row.shown is not None and row.shown.state not in finals]
        return self._carry_out(rows, lambda facts: call_back(facts, rollout, now), now)

    # What is heard

    def _merge(self, event: InstructionReceived, now: Instant) -> list[Outgoing]:
        if self.notice is None:
            self._waiting.append(event)
            return []
        rollout = self.rollout()
        answer = Answer(event.party, event.party_seq, event.kind, event.group, event.received_at, event.activate_at)
        missing = [hub for hub in sorted(event.hubs) if hub not in self.rows]
        looked_up = ((hub, self.register.get(hub)) for hub in missing)
        outgoing = self._open_rows(
            Facts(hub, partition_of_hub(hub), recorded(found) if found else UNRECORDED) for hub, found in looked_up
        )
        facts, told = {}, []
        for hub in sorted(event.hubs):
            row = self.rows[hub]
            if self._is_too_late(row, answer):
                if (hub, answer.party, answer.party_seq) not in self.late:
                    self.late.add((hub, answer.party, answer.party_seq))
                    assert row.shown is not None
                    told.append(as_seen(row, row.shown, rollout))
            else:
                facts[hub], _anomaly = hear.party_says(row.facts, answer)
        return [*outgoing, *progressed(rollout, told, too_late=answer.party), *self._write_back(facts, now)]

    def _is_too_late(self, row: Row, answer: Answer) -> bool:
        """Too late now, or when this answer or a newer one first came."""
        if not hear.is_news(row.facts, answer) or row.shown is None:
            return False
        if hear.takes_no_answer(row.facts, row.shown.state):
            return True
        return row.facts.arming.counter > 0 and any(
            (hub, party) == (row.facts.hub, answer.party) and seq >= answer.party_seq for hub, party, seq in self.late
        )

    def _take_answers(self, items: Sequence[ResponseItem], now: Instant) -> list[Outgoing]:
        rollout = None if self.notice is None else self.rollout()
        facts = {item.hub: self.rows[item.hub].facts for item in items if item.hub in self.rows}
        for item in items:
            if item.hub in facts:
                facts[item.hub], _ = learn_of_answer(facts[item.hub], item, rollout, self.pacing.max_skew)
        if rollout is None:
            return []
        again = call_back_again(facts, rollout, now)
        delivered, armed = arm_at_once(facts, items, rollout, now)
        given = self._number(facts, again + armed, now)
        told = self._write_back(facts, now, delivered)
        return commands(rollout, given, now) + told

    def _take_records(self, items: Sequence[SmiHub], now: Instant) -> list[Outgoing]:
        if self.notice is None:
            return []
        rollout = self.rollout()
        known = {item.hub: self.rows[item.hub].facts for item in items if item.hub in self.rows}
        outgoing: list[Outgoing] = []
        if not rollout.ended:
            outgoing = self._enrol_strangers([item for item in items if item.hub not in known])
        for item in items:
            if item.hub in known:
                known[item.hub], _ = learn_of_record(known[item.hub], item, rollout)
        given = self._number(known, call_back_again(known, rollout, now), now)
        return outgoing + commands(rollout, given, now) + self._write_back(known, now)

    def _enrol_strangers(self, items: Sequence[SmiHub]) -> list[Outgoing]:
        rollout = self.rollout()
        newest = {item.hub: item for item in sorted(items, key=lambda item: item.smi_version)}
        told = [Facts(hub, partition_of_hub(hub), inventory_of(item)) for hub, item in newest.items()]
        found = [hear.inventory_says(facts, recorded(self.register[facts.hub])) for facts in told]
        fits = [
            now
            for before, now in zip(told, found, strict=True)
            if rollout.misfit(before.inventory) is None and rollout.misfit(now.inventory) is None
        ]
        return self._open_rows(fits)

    # Ticks: what was done, or None where nothing was due

    def _claim(self, now: Instant) -> list[Outgoing] | None:
        due = [row for row, at in self._claims() if at <= now]
        if not due:
            return None
        rollout = self.rollout()
        return self._carry_out(due, lambda facts: claim_if_due(facts, show(facts, rollout), rollout, now), now)

    def _watch(self, now: Instant) -> list[Outgoing] | None:
        due = [row for row, at in self._checks() if at <= now]
        if not due:
            return None
        rollout = self.rollout()

        def decide(facts: Facts) -> tuple[Facts, Action | None]:
            shown = show(facts, rollout)
            due_still = shown.check_at is not None and shown.check_at <= now
            return pass_time(facts, shown.state, rollout, now) if due_still else (facts, None)

        return self._carry_out(due, decide, now)

    def _expire(self, now: Instant) -> list[Outgoing] | None:
        if self._fencing is None or self._fencing[1] > now:
            return None
        halt, self._fencing = self._fencing[0], None
        return [self._tell(ProgressKind.EFFECTIVE, halt, now)]

    def _report(self, now: Instant) -> list[Outgoing] | None:
        due = self._told_again()
        if due is None or due > now or self._told is None:
            return None
        return [self._tell(kind_of(self._told[0], self._totals()), self.min_epoch, now)]

    def _work(self, now: Instant) -> list[Outgoing] | None:
        return self.jobs.pop(0)(now) if self.jobs else None

    def next_due(self, now: Instant) -> Instant | None:
        """When there is next something to do."""
        dues = [at for _, at in chain(self._claims(), self._checks())]
        dues += [] if self._fencing is None else [self._fencing[1]]
        dues += [now] if self.jobs else []
        told = self._told_again()
        return min(dues if told is None else [*dues, told], default=None)

    def _claims(self) -> Iterable[tuple[Row, Instant]]:
        if self.notice is None or not self.rollout().may_claim:
            return ()
        pilot_only = self.rollout().pilot_only
        return [
            (row, shown.claim_at)
            for row in self.rows.values()
            if (shown := row.shown) and shown.claim_at is not None and (shown.pilot or not pilot_only)
        ]

    def _checks(self) -> Iterable[tuple[Row, Instant]]:
        return [(row, at) for row in self.rows.values() if row.shown and (at := row.shown.check_at) is not None]

    def _told_again(self) -> Instant | None:
        if self._told is None:
            return None
        told, at = self._told
        return told_again_at(told, at, self._totals(), self.pace)
