"""Verdicts and reasons in the documents of the routes, each with its line of the catalogue."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from chfw_common.kernel.catalogue import REASONS, VERDICTS


def _each(catalogue: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"const": name, "description": said} for name, said in catalogue.items()]


VerdictText = Annotated[str, WithJsonSchema({"type": "string", "oneOf": _each(VERDICTS)})]
"""A verdict in an answer."""
VerdictCounts = Annotated[dict[str, int], Field(json_schema_extra={"propertyNames": {"oneOf": _each(VERDICTS)}})]
"""How often each verdict was given."""
REASON: dict[str, Any] = {
    "anyOf": [
        *_each(REASONS),
        {
            "type": "string",
            "maxLength": 200,
            "description": "With the state superseded: the version that the hub runs.",
        },
        {"type": "null"},
    ]
}
"""The schema of the reason for which a hub stands where it does."""
