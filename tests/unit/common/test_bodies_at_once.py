"""What bodies under way may hold: a share for each Party, a bound for the process, and all of it given back."""

import pytest

from chfw_common.kernel.ids import PartyId
from chfw_common.runtime.http.budget import Bodies, BodyBounds
from chfw_common.runtime.http.problems import Problem

A, B, C = (PartyId(name) for name in "abc")


def refused(bodies: Bodies, party: PartyId, size: int) -> int:
    """The status with which a body of that size is refused."""
    with bodies.of(party) as held, pytest.raises(Problem) as found:
        held.take(size)
    assert found.value.headers["Retry-After"]
    return found.value.status


def test_a_party_has_half_of_the_bytes_and_the_process_all() -> None:
    bodies = Bodies(BodyBounds(100, 100))
    with bodies.of(A) as one, bodies.of(B) as other:
        one.take(50)
        assert refused(bodies, A, 1) == 429
        other.take(49)
        assert refused(bodies, C, 2) == 503
        assert bodies.size == 99
    assert bodies.size == 0
    with bodies.of(A) as again:
        again.take(50)


def test_a_party_has_a_quarter_of_the_number() -> None:
    bodies = Bodies(BodyBounds(1000, 4))
    with bodies.of(A) as one:
        one.take(1)
        one.take(1)
        assert refused(bodies, A, 1) == 429
        with bodies.of(B) as b, bodies.of(C) as c, bodies.of(PartyId("d")) as d:
            for held in (b, c, d):
                held.take(1)
            assert refused(bodies, PartyId("e"), 1) == 503


def test_what_is_refused_does_not_count_and_a_failure_gives_back() -> None:
    bodies = Bodies(BodyBounds(100, 4))
    assert refused(bodies, A, 51) == 429

    def fail() -> None:
        with bodies.of(A) as held:
            held.take(50)
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        fail()
    assert bodies.size == 0
