"""A column of the sender's own is given back; one that is called like a term of the request is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chfw_instruction.domain.columns import HeaderError, id_column, term_like
from tests.support.fuzzing import inputs


@pytest.mark.parametrize(
    ("name", "term"),
    [
        ("activate_at", "activate_at"),
        ("Activate At", "activate_at"),
        ("activateAt", "activate_at"),
        ("ACTIVATE-AT", "activate_at"),
        (" activate_at ", "activate_at"),
        ("activat_at", "activate_at"),
        ("activate\u200b_at", "activate_at"),
        ("planned activation", "activate_at"),
        ("ExecutionDateTime", "activate_at"),
        ("group", "group"),
        ("Groups", "group"),
        ("grp", "group"),
        ("safe_launch", "group"),
        ("Pilot?", "group"),
        ("kind", "kind"),
        ("KIND", "kind"),
        ("declined", "kind"),
        ("answerKind", "kind"),
    ],
)
def test_a_column_called_like_a_term_is_known(name: str, term: str) -> None:
    assert term_like(name) == term
    with pytest.raises(HeaderError, match=f"looks like the term `{term}`"):
        id_column(["hub", name])


@pytest.mark.parametrize(
    "name",
    ["site", "note", "postcode", "MPAN", "region", "model", "serial number", "verdict", "customer", "contract", "owner",
     "Installation date", "comment", "engineer", "priority", "depot", "street", "town", "county", "2", "\u00e9tage"],
)  # fmt: skip
def test_other_columns_are_the_senders_own(name: str) -> None:
    assert id_column([name, "device_id"]) == 1


def test_a_header_costs_little_however_odd_it_is() -> None:
    with pytest.raises(HeaderError, match="more than 200 columns"):
        id_column(["hub", *map(str, range(200))])
    assert id_column(["hub", *(f"{n} " + "x " * 8_000 for n in range(199))]) == 0


@inputs()
@given(st.lists(st.text(max_size=12) | st.sampled_from(["hub", "device_id", "note"]), max_size=5))
def test_any_header_is_taken_or_refused(header: list[str]) -> None:
    try:
        place = id_column(header)
    except HeaderError as error:
        assert str(error)  # noqa: PT017 - most headers are refused, some are not
        return
    assert header[place] in {"hub", "device_id"}
