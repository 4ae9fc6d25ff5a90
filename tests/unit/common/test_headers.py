"""Headers with a grammar: the form a client prefers (RFC 9110), and strings of structured fields (RFC 9651)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from chfw_common.runtime.http.idempotency import PATTERN
from chfw_common.runtime.http.json_route import JSON
from chfw_common.runtime.http.negotiation import LIST_FORMS, preferred
from chfw_common.runtime.http.paging import CSV, NDJSON
from chfw_common.runtime.http.structured import parse_string, write_string
from tests.support.fuzzing import inputs


@pytest.mark.parametrize(
    ("lines", "form"),
    [
        ([], JSON),
        ([""], JSON),
        (["*/*"], JSON),
        (["text/csv"], CSV),
        # Weights.
        (["application/x-ndjson;q=0.1, application/json;q=0.9"], JSON),
        (["text/csv;q=0, application/json"], JSON),
        (["text/csv;q=0"], JSON),
        (["text/csv;q=0.000, */*;q=0.001"], JSON),
        (["application/json;q=0, */*;q=0.1"], NDJSON),
        (["text/csv;q=0.5, application/x-ndjson;q=0.6"], NDJSON),
        (["text/csv; q=1.000 , application/json ;q=0.999"], CSV),
        # Case.
        (["TEXT/CSV"], CSV),
        (["Text/Csv;Q=0.5, Application/X-NDJSON;q=0.4"], CSV),
        # Several lines.
        (["application/json;q=0.2", "text/csv;q=0.3"], CSV),
        (["application/json", "text/csv;q=0.3"], JSON),
        # The closest range gives the weight, and decides among equals; then the first.
        (["text/csv, */*"], CSV),
        (["*/*, text/csv"], CSV),
        (["text/*;q=0.3, text/csv;q=0.1, */*;q=0.2"], JSON),
        (["text/*"], CSV),
        (["application/*"], JSON),
        (["text/csv, application/json"], CSV),
        (["application/json, text/csv"], JSON),
        # Parameters and quoted text.
        (["text/csv; charset=utf-8; header=present"], CSV),
        (['application/json;x="a, text/csv;q=1";q=0.1, application/x-ndjson;q=0.2'], NDJSON),
        (['text/html;x="\\", text/csv", application/x-ndjson;q=0.2'], NDJSON),
        # Not of the grammar, or of other forms: passed over.
        (["text/csvx, xtext/csv, application/x-ndjsonp"], JSON),
        (["text/csv;q=2, application/x-ndjson;q=0.1"], NDJSON),
        (["text/csv;q=, application/x-ndjson;q=0.1"], NDJSON),
        (["text/csv;q=-1, text/csv;q=1e-1, text/csv;q=0.1234, application/x-ndjson;q=0.1"], NDJSON),
        (["*/csv, text/, /csv, text, *, application/x-ndjson;q=0.1"], NDJSON),
        (['"text/csv'], JSON),
        (["text/html;q=0.9"], JSON),
        (["t\u00e9xt/csv, text/csv\u00ff"], JSON),
        ([", ,"], JSON),
    ],
)
def test_the_preferred_form(lines: list[str], form: str) -> None:
    assert preferred(lines, LIST_FORMS) == form


named = st.sampled_from([*LIST_FORMS, "*/*", "text/*", "application/*", "text/html"])
weighted = st.tuples(named, st.integers(0, 1000)).map(lambda one: f"{one[0]};q={one[1] / 1000:.3f}")


@inputs()
@given(st.lists(named | weighted))
def test_nothing_that_weighs_more_for_werkzeug_is_passed_over(members: list[str]) -> None:
    theirs = parse_accept_header(", ".join(members), MIMEAccept)
    weights = {form: float(theirs.quality(form)) for form in LIST_FORMS}
    assert weights[preferred(members, LIST_FORMS)] == max(weights.values())


@inputs()
@given(st.lists(st.text(st.characters(max_codepoint=255))))
def test_any_header_prefers_some_form(lines: list[str]) -> None:
    assert preferred(lines, LIST_FORMS) in LIST_FORMS


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ('"abc"', "abc"),
        ('""', ""),
        (r'"a\"b\\c"', r"a\"b\c".replace('\\"', '"')),
        ('"a b"', "a b"),
        ("abc", None),
        ('abc"', None),
        ('"abc', None),
        ('"', None),
        ("", None),
        ('""abc""', None),
        ('"a"b"', None),
        (r'"a\b"', None),
        ('"abc\\"', None),
        ('"abc";a=1', None),
        ('"abc", "def"', None),
        (":YWJj:", None),
        ('"a\u00e9"', None),
        ('"a\tb"', None),
        ('"a\nb"', None),
        ('"abc"\n', None),
    ],
)
def test_a_string_is_what_its_grammar_says(field: str, text: str | None) -> None:
    assert parse_string(field) == text


@inputs()
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_what_is_written_is_read(text: str) -> None:
    assert parse_string(write_string(text)) == text
    assert bool(re.search(PATTERN, write_string(text))) == (1 <= len(text) <= 200)


@pytest.mark.parametrize("text", ["a\n", "\u00e9", "\0", "\x7f"])
def test_what_a_string_cannot_hold_is_not_written(text: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        write_string(text)
