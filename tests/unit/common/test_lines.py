"""Lines of numbered facts: what is next, what came before, and what is neither."""

from hypothesis import given
from hypothesis import strategies as st

from chfw_common.kernel.rollout import Mode
from chfw_common.runtime.lines import Taken, digest, fault
from tests.support.release import decision, notice

A, B = b"a", b"b"


def test_the_first_number_is_one() -> None:
    assert fault({}, 1, A) is None
    assert fault({}, 2, A) == "number 2 came where 1 is due"
    assert fault({}, 0, A) == "number 0 came where 1 is due"


def test_the_next_and_what_was_taken_are_in_line() -> None:
    taken: Taken = {1: A, 2: B}
    assert fault(taken, 3, A) is None
    assert fault(taken, 1, A) is None
    assert fault(taken, 2, B) is None


def test_a_twin_and_a_jump_are_not() -> None:
    taken: Taken = {1: A, 2: B}
    assert fault(taken, 2, A) == "number 2 was taken from another record before"
    assert fault(taken, 1, B) == "number 1 was taken from another record before"
    assert fault(taken, 4, A) == "number 4 came where 3 is due"


@given(st.lists(st.tuples(st.integers(-2, 12), st.sampled_from([A, B]))))
def test_whatever_comes_a_line_has_no_gaps_and_no_twins(records: list[tuple[int, bytes]]) -> None:
    taken: Taken = {}
    for number, said in records:
        if fault(taken, number, said) is None:
            assert taken.setdefault(number, said) == said
        assert sorted(taken) == list(range(1, len(taken) + 1))


def test_two_records_say_the_same_when_every_field_does() -> None:
    assert digest(decision(2, Mode.STOP)) == digest(decision(2, Mode.STOP))
    assert digest(decision(2, Mode.STOP)) != digest(decision(2, Mode.PAUSE))
    assert digest(notice()) != digest(notice(note_reference="other"))


def test_what_was_given_up_is_gone() -> None:
    """It would come after what was taken since."""
    taken: Taken = {1: A, 2: None}
    assert fault(taken, 3, B) is None
    assert fault(taken, 2, A) == "number 2 was given up before"


def test_what_was_given_up_further_on_is_passed_when_its_turn_comes() -> None:
    taken: Taken = {1: A, 3: None}
    assert fault(taken, 4, B) == "number 4 came where 2 is due"
    assert fault(taken, 2, B) is None
    assert fault({**taken, 2: B}, 4, B) is None
