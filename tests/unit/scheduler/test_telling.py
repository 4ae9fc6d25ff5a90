"""Who has news of a hub: the Parties whose view differs, as the notifier makes it."""

from hypothesis import given
from hypothesis import strategies as st

from chfw_common.events.progressed import HubProgress
from chfw_common.kernel.ids import HubId, PartyId
from chfw_common.kernel.instants import parse_instant
from chfw_common.kernel.rollout import AnswerKind, HubState
from chfw_notifier.domain.view import views_of
from chfw_scheduler.domain.facts import Word
from chfw_scheduler.domain.telling import news

PARTIES = [PartyId(name) for name in ("elec", "gas", "next")]
T = parse_instant("2027-01-20T02:00:00Z")
said = st.dictionaries(st.sampled_from(PARTIES), st.none() | st.sampled_from(AnswerKind), max_size=2)
words = st.builds(
    lambda state, at, pilot, said, lapsed: Word(
        state, None, at, None, at, pilot, None, tuple(sorted(said.items())), tuple(sorted(lapsed))
    ),
    st.sampled_from([HubState.ELIGIBLE, HubState.AWAITING_CONSENT]),
    st.sampled_from([None, T]),
    st.booleans(),
    said,
    st.sets(st.sampled_from(PARTIES), max_size=2),
)


def views(word: Word) -> dict[PartyId, dict[str, object]]:
    told = word._asdict() | {"answers": dict(word.answers)}
    return views_of(HubProgress(hubs={HubId(1): 1}, **told))


@given(words, words)
def test_they_are_those_whose_view_differs(before: Word, after: Word) -> None:
    was, now = views(before), views(after)
    assert news(before, after) == tuple(party for party in PARTIES if party in now and now[party] != was.get(party))
    assert news(None, after) == tuple(party for party in PARTIES if party in now)
    assert news(after, after) == ()
