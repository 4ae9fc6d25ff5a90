"""Rows of a feed show which hubs look the same, and nothing of what was told of them together."""

from hypothesis import given
from hypothesis import strategies as st

from chfw_common.kernel.ids import HubId
from chfw_notifier.domain.gather import MOST, in_order, rows_of
from chfw_notifier.domain.view import Group, View

VIEWS: list[View] = [(("state", state),) for state in "abc"]
# What is told of each hub, in its order.
stories = st.dictionaries(st.integers(0, 40), st.lists(st.sampled_from(VIEWS), min_size=1, max_size=4), max_size=12)


def told(story: dict[int, list[View]], draw: st.DataObject) -> list[list[Group]]:
    """The story in events of any composition: each takes the next of what is told of some hubs."""
    left = {hub: list(views) for hub, views in story.items()}
    events = []
    while left:
        some = draw.draw(st.sets(st.sampled_from(sorted(left)), min_size=1))
        events.append([(left[hub].pop(0), [HubId(hub)]) for hub in sorted(some)])
        left = {hub: views for hub, views in left.items() if views}
    return events


@given(stories, st.data())
def test_how_it_was_told_leaves_no_trace(story: dict[int, list[View]], data: st.DataObject) -> None:
    """Whatever came in one event: the same rows, and each hub's stages in their order, none told twice in a row."""
    one, other = rows_of(told(story, data)), rows_of(told(story, data))
    assert one == other
    heard: dict[int, list[View]] = {}
    for row in one:
        assert [hubs[0] for _, hubs in row] == sorted(hubs[0] for _, hubs in row)
        for view, hubs in row:
            for hub in hubs:
                heard.setdefault(hub, []).append(view)
    assert heard == {
        hub: [view for n, view in enumerate(views) if n == 0 or views[n - 1] != view] for hub, views in story.items()
    }


def test_rows_are_cut_by_the_number_of_their_own_hubs() -> None:
    hubs = [HubId(n) for n in range(MOST + 20)]
    rows = rows_of([[(VIEWS[0], hubs[::2])], [(VIEWS[1], hubs[1::2])]])
    assert [sum(len(some) for _, some in row) for row in rows] == [MOST, 20]
    single = [{"hub": f"{n:03}", "at": "t", "cause": "alert", "outcome": None} for n in range(MOST + 1)]
    assert in_order(reversed(single)) == [single[:MOST], single[MOST:]]
