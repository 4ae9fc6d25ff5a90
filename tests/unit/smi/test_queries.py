"""Statements by name: what a file of them must look like."""

import pytest

from chfw_common.runtime.queries import InvalidQueriesError, load_queries, parse_queries


def test_statements_keep_their_sentences() -> None:
    found = parse_queries("-- name: one\n-- Says one.\nselect 1;\n\n-- name: two\n-- Says\n-- two.\nselect 2;\n")
    assert found == {"one": "-- one\n-- Says one.\nselect 1", "two": "-- two\n-- Says\n-- two.\nselect 2"}


@pytest.mark.parametrize(
    "text",
    ["select 1;", "-- name: one\nselect 1;", "-- name: one\n-- A.\nselect 1;\n-- name: one\n-- B.\nselect 2;"],
)
def test_a_file_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidQueriesError):
        parse_queries(text)


def test_a_package_file_is_read() -> None:
    assert "for update" in load_queries("chfw_smi.store", "hub.sql")["lock_hubs"]
