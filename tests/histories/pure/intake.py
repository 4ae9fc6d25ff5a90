"""Intake of a pure history: requests in memory, and intake's own rules.

What is told of a request as a whole is for the notifier, which no history has; it is left out.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from chfw_common.events.decision import RolloutDecision
from chfw_common.events.instruction import InstructionReceived
from chfw_common.events.progressed import HubProgressed
from chfw_common.events.release import ReleaseNotified
from chfw_common.kernel.hubs import HubFields, HubRecord
from chfw_common.kernel.ids import HubId, PartyId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import Role
from chfw_common.kernel.rollout import ENDS, AnswerKind, Group, Mode
from chfw_common.runtime.service import Outgoing, hub_events
from chfw_common.topology import INSTRUCTION_RECEIVED
from chfw_instruction.domain.standing import StateClass, Told, class_of, newest, showing, showings, standing
from chfw_instruction.domain.terms import Terms, refuse_whole
from chfw_instruction.domain.verdict import Asked as AskedFor
from chfw_instruction.domain.verdict import Known, Verdict, judge
from chfw_instruction.stages.accept import Receipt
from tests.histories.cast import RELEASE, Asked, user_of
from tests.histories.truth import Word
from tests.histories.views import Accepted, Judged

_LIMIT = 50_000
Proposed = Callable[[PartyId, Instant, HubId], bool]
"""Whether this time is proposed to this Party for this hub at present, as the ledger has it."""


@dataclass
class Request:
    """An accepted request; `verdicts` once it is judged."""

    receipt: Receipt
    digest: bytes
    asked: AskedFor
    party_seq: int
    hubs: tuple[HubId, ...]
    verdicts: list[Verdict] = field(default_factory=list)


@dataclass
class Stands:
    """Where a hub stands in the release, and what was shown of it."""

    version: int
    state: StateClass
    shown: set[str]


class Intake:
    """One release. `register` is the inventory's published view."""

    def __init__(self, register: Mapping[HubId, HubRecord], proposed: Proposed) -> None:
        self.requests: dict[tuple[PartyId, str], Request] = {}
        self._register, self._proposed = register, proposed
        self._notice: ReleaseNotified | None = None
        self._decision: RolloutDecision | None = None
        self._standings: dict[HubId, Stands] = {}
        self._pilot: dict[HubId, set[PartyId]] = {}
        self._last_seq: Counter[PartyId] = Counter()
        self._to_judge: list[Request] = []
        self.ticks = (self._judge,)

    def hear(self, message: Any, _: Instant) -> list[Outgoing]:
        """Take an event in."""
        match message.event:
            case ReleaseNotified(version=version) as notice:
                if self._notice is None or version > self._notice.version:
                    self._notice = notice
            case RolloutDecision(epoch=epoch) as decision:
                if self._decision is None or epoch > self._decision.epoch:
                    self._decision = decision
            case HubProgressed() as progress:
                self._keep(progress)
        return []

    def _keep(self, progress: HubProgressed) -> None:
        words = [
            Told(hub, version, class_of(item.state), shown=showings(item.too_late or item.answers, item.proposed_at))
            for item in progress.items
            for hub, version in item.hubs.items()
        ]
        for word in newest(words):
            known = self._standings.setdefault(word.hub, Stands(0, StateClass.OPEN, set()))
            known.shown.update(word.shown)
            if word.version > known.version:
                known.version, known.state = word.version, word.state

    def _terms(self) -> Terms | None:
        notice, decision = self._notice, self._decision
        if notice is None:
            return None
        dates = notice if decision is None else decision
        return Terms(
            RELEASE, notice.cpl.image, notice.cpl.state == "Active", notice.rule,
            Mode.HELD if decision is None else decision.mode, dates.automatic_date, dates.waves, notice.pilot_opens,
            notice.pilot_places,
        )  # fmt: skip

    def submit(self, asked: Asked, key: str, digest: bytes, now: Instant) -> Receipt | str:
        """A request; its receipt, or the code of its refusal."""
        before = self.requests.get((asked.party, key))
        if before is not None:
            return replace(before.receipt, replayed=True) if before.digest == digest else "reused_key"
        terms, kind = self._terms(), AnswerKind(asked.kind)
        refused = refuse_whole(
            terms, kind=kind, activate_at=asked.activate_at, entries=len(asked.hubs), limit=_LIMIT, now=now
        )
        if refused is not None or terms is None:
            return str(refused)
        self._last_seq[asked.party] += 1
        judged_by = AskedFor(
            asked.party, user_of(asked.party, asked.role), terms.image, terms.automatic_date, terms.waves, now,
            asked.activate_at, kind, Group(asked.group), terms.pilot_opens,
            terms.places_of(asked.party),
        )  # fmt: skip
        receipt = Receipt(uuid5(NAMESPACE_URL, f"{asked.party}|{key}"), len(asked.hubs), now, replayed=False)
        request = Request(receipt, digest, judged_by, self._last_seq[asked.party], asked.hubs)
        self.requests[asked.party, key] = request
        self._to_judge.append(request)
        return receipt

    def _judge(self, _: Instant) -> list[Outgoing] | None:
        if not self._to_judge:
            return None
        request = self._to_judge.pop(0)
        asked = request.asked
        request.verdicts = judge(asked, request.hubs, (), self._look(request))
        accepted = [hub for hub, said in zip(request.hubs, request.verdicts, strict=True) if said is Verdict.ACCEPTED]
        for hub in accepted:
            named = self._pilot.setdefault(hub, set())
            (named.add if asked.for_pilot else named.discard)(asked.party)
        return hub_events(
            INSTRUCTION_RECEIVED,
            [(self._register[hub].part, hub, hub) for hub in accepted],
            lambda hubs: InstructionReceived(
                request_id=str(request.receipt.id), release_id=RELEASE, party=asked.party, user_id=asked.user_id,
                party_seq=request.party_seq, kind=asked.kind, group=asked.group, received_at=asked.received_at,
                activate_at=asked.activate_at, hubs=hubs,
            ),
        )  # fmt: skip

    def _look(self, request: Request) -> Known:
        asked, hubs = request.asked, request.hubs
        ended = self._decision is not None and self._decision.mode in ENDS
        classes = {hub: known.state for hub in hubs if (known := self._standings.get(hub)) and not ended}
        found = {hub: standing(RELEASE, [(RELEASE, state)]) for hub, state in classes.items()}
        others = {hub for hub in hubs if self._pilot.get(hub, set()) - {asked.party}}
        members = {hub for hub in hubs if asked.party in self._pilot.get(hub, set())}
        pilot = members if asked.for_pilot else others if asked.depends_on_pilot else frozenset()
        return Known(
            {hub: _fields(self._register[hub]) for hub in hubs if hub in self._register},
            {hub: refuses for hub, refuses in found.items() if refuses is not None},
            pilot,
            sum(asked.party in named for named in self._pilot.values()) if asked.for_pilot else 0,
            {hub for hub in hubs if self._was_shown(asked, hub)},
        )

    def _was_shown(self, asked: AskedFor, hub: HubId) -> bool:
        at = asked.time_agreed
        if at is None:
            return False
        known = self._standings.get(hub)
        told = known is not None and showing(asked.party, at) in known.shown
        return told or self._proposed(asked.party, at, hub)

    def next_due(self, now: Instant) -> Instant | None:
        """When there is next something to do."""
        return now if self._to_judge else None

    def judged(self) -> list[Judged]:
        """The judged requests, for the invariants. A verdict is of the place it stands at."""
        done = [request for request in self.requests.values() if request.verdicts]
        return [
            Judged(request.receipt.entries, Counter(request.verdicts), len(request.verdicts), len(request.verdicts))
            for request in done
        ]

    def accepted(self) -> Sequence[Accepted]:
        """The accepted entries, for the invariants."""
        return [
            Accepted(hub, request.party_seq, _word(request.asked))
            for request in self.requests.values()
            for hub, said in zip(request.hubs, request.verdicts, strict=bool(request.verdicts))
            if said is Verdict.ACCEPTED
        ]


def _word(asked: AskedFor) -> Word:
    return Word(asked.party, asked.kind, asked.group, asked.received_at, asked.activate_at)


def _fields(record: HubRecord) -> HubFields:
    by_role = {one.role: (one.party, one.user_id) for one in record.responsible}
    import_party, import_user = by_role.get(Role.IMPORT_SUPPLIER, (None, None))
    gas_party, gas_user = by_role.get(Role.GAS_SUPPLIER, (None, None))
    return HubFields(
        record.hub, record.part, import_party, import_user, gas_party, gas_user, record.region,
        record.device_type, record.status, record.manufacturer, record.model, record.hardware, record.firmware,
        record.gbcs,
    )  # fmt: skip
