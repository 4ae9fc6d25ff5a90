"""The documents of the routes carry the catalogue: each verdict and each reason with what it means."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from chfw_common.kernel.catalogue import REASONS, VERDICTS
from tests.service.documents.stand import document


def lines(part: Any) -> Iterator[tuple[str, str]]:
    """The values that a document names, each with its description."""
    if isinstance(part, dict):
        if "const" in part and "description" in part:
            yield part["const"], part["description"]
        for inner in part.values():
            yield from lines(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from lines(inner)


@pytest.mark.parametrize(
    ("service", "schema", "catalogue"),
    [
        ("instruction", "VerdictView", VERDICTS),
        ("instruction", "ProgressView", VERDICTS),
        ("notifier", "FitView", VERDICTS),
        ("notifier", "ToldView", REASONS),
    ],
)
def test_a_document_carries_the_catalogue(service: str, schema: str, catalogue: Mapping[str, str]) -> None:
    found = json.loads(json.dumps(document(service)))["components"]["schemas"][schema]
    assert dict(lines(found)) == dict(catalogue)
