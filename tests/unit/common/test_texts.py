"""Words show something; names of an object stand once."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chfw_common.kernel.texts import RepeatedNameError, UnseenTextError, distinct, shown, words
from tests.support.events import Json
from tests.support.fuzzing import inputs

BLANKS = ["", " ", "   ", "\u00a0", "\u200b", "\n", "\t\r\n", "\u2028", "\ufeff", "\u3164", "\u2800", "\u034f", "-"]


@pytest.mark.parametrize("blank", BLANKS)
def test_a_blank_is_no_word(blank: str) -> None:
    with pytest.raises(UnseenTextError):
        words(blank)


@pytest.mark.parametrize("unseen", ["\0", "\u200b", "\n", "\u202e", "\u00ad", "\x1b[2J", "\u3164", "\ud800"])
def test_a_character_that_shows_nothing_is_named(unseen: str) -> None:
    with pytest.raises(UnseenTextError, match=rf"character 4 is U\+{ord(unseen[0]):04X}"):
        words(f"the{unseen}Panel")


def test_the_blanks_round_a_text_are_not_part_of_it() -> None:
    assert words(" \u00a0 the Panel, 4th sitting (\u00e9t\u00e9)\n") == "the Panel, 4th sitting (\u00e9t\u00e9)"


@inputs()
@given(st.text(st.characters(), max_size=20))
def test_any_text_is_words_or_says_nothing(text: str) -> None:
    try:
        said = words(text)
    except UnseenTextError:
        return
    assert said.isprintable()
    assert said == said.strip() == words(said)
    assert any(map(str.isalnum, said))


@inputs()
@given(Json)
def test_a_document_whose_names_are_distinct_is_read_as_python_reads_it(document: object) -> None:
    text = json.dumps(document)
    assert json.loads(text, object_pairs_hook=distinct) == json.loads(text)


def test_a_name_that_stands_twice_is_told() -> None:
    with pytest.raises(RepeatedNameError, match="`mode` twice"):
        json.loads('{"x": [{"mode": 1, "a": 2, "mo\\u0064e": 1}]}', object_pairs_hook=distinct)


@inputs()
@given(st.text(st.characters()))
def test_what_a_message_repeats_can_be_sent(text: str) -> None:
    assert len(shown(text).encode()) <= 64 * 6
