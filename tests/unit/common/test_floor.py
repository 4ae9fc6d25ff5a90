"""The floor of a lane never passes an id that a transaction may still bring."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from chfw_common.runtime.floor import Floor
from tests.support.fuzzing import inputs

LIMIT = 3
STEPS = st.lists(st.sampled_from(["write", "commit", "abort", "look"]), max_size=60)


@dataclass
class Lane:
    """What Postgres would say: transactions that have taken ids, rows that are there, numbers given out."""

    last_id: int = 0
    last_transaction: int = 0
    open: dict[int, list[int]] = field(default_factory=dict)
    rows: set[int] = field(default_factory=set)
    ever: set[int] = field(default_factory=set)

    def write(self) -> None:
        self.last_transaction += 1
        self.last_id += 2
        self.open[self.last_transaction] = [self.last_id - 1, self.last_id]

    def end(self, *, commits: bool) -> None:
        if self.open:
            # The youngest first: ids become visible in any order.
            ids = self.open.pop(max(self.open))
            if commits:
                self.rows |= set(ids)
                self.ever |= set(ids)

    def look(self, floor: Floor) -> list[int]:
        floor.rise(min(self.open, default=self.last_transaction + 1))
        last_id = self.last_id
        ids = sorted(one for one in self.rows if one > floor.id)[:LIMIT]
        self.rows -= set(ids)
        number = None
        if ids:
            self.last_transaction += 1
            number = self.last_transaction
        floor.taken(last_id, ids, number, full=len(ids) == LIMIT)
        return ids


@given(STEPS)
@inputs(200)
def test_every_committed_event_is_taken(steps: list[str]) -> None:
    lane, floor = Lane(), Floor()
    taken: list[int] = []
    for step in steps:
        if step == "write":
            lane.write()
        elif step == "look":
            taken += lane.look(floor)
        else:
            lane.end(commits=step == "commit")
    while lane.open:
        lane.end(commits=True)
    while found := lane.look(floor):
        taken += found
    assert sorted(taken) == sorted(lane.ever)
    for _ in range(2):
        lane.look(floor)
    assert floor.id <= lane.last_id


def test_the_floor_follows_what_was_relayed() -> None:
    lane, floor = Lane(), Floor()
    for _ in range(10):
        lane.write()
        lane.end(commits=True)
        lane.look(floor)
    assert floor.id == lane.last_id - 2, "one look behind"
    floor.drop()
    assert floor.id == 0
