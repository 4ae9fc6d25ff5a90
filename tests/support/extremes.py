"""Values at the edges of what a JSON schema allows: the least, the greatest, the longest, and texts that are odd.

They are what a stranger sends who has read the document of a route.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from chfw_common.kernel.ids import GREATEST_HUB, LEAST_HUB, HubId, hub_eui64, hub_hex
from chfw_common.kernel.instants import Instant, format_instant, parse_instant
from chfw_common.runtime.http.ids import HUB_PATTERN, RELEASE_PATTERN

HUBS = tuple(HubId(hub) for hub in (LEAST_HUB, -1, 0, 1, GREATEST_HUB))
"""Hubs at the edges of what an EUI-64 is."""
ODD = [
    "a", "0", "=1+1", '"', "\\", "\\u0000", "%s{}", "null", "\ufb03", "\u0130", "e\u0301", "\u0639", "\u01c5", "A,b",
    "'--", "\u2160", "\U0001d7d8", "9" * 30, "1e400", "-0", "NaN", "ab",
]  # fmt: skip
"""Texts that some reader somewhere takes for something else; all of them say something that can be seen."""
ENTRIES = [
    "", " ", "\n", "\r\n", "\t", "\0", "a\nb", "a\0b", "\u2028", "\ufeff", "x" * 5_000, "\ud7ff", "zz", "," * 9, '"',
    "\\n", "\x1b[0m",
]  # fmt: skip
"""What may stand in a list of hubs and is none."""
_LETTERS = ("Z", "\u00e9", "\U00010400")
_TICK = timedelta(microseconds=1)


def words(most: int) -> st.SearchStrategy[str]:
    """Texts of a request: odd ones, and the longest, of letters of one, two and four bytes."""
    odd = [text for text in ODD if len(text) <= most and any(map(str.isalnum, text))]
    return st.sampled_from([*odd, *(letter * most for letter in _LETTERS)])


def times(around: Instant) -> st.SearchStrategy[str]:
    """Times round an instant and at the bounds, in the spellings that RFC 3339 knows."""

    def spelt(stated: Mapping[str, Any]) -> list[str]:
        least, greatest = parse_instant(stated["formatMinimum"]), parse_instant(stated["formatMaximum"])
        near = [around + span for span in (-_TICK, timedelta(0), _TICK, timedelta(days=1), timedelta(days=182))]
        return [format_instant(at) for at in (least, least + _TICK, *near, greatest - _TICK, greatest)]

    return st.sampled_from(spelt(INSTANT)).flatmap(_spellings)


INSTANT = {"formatMinimum": "1970-01-01T00:00:00Z", "formatMaximum": "2200-01-01T00:00:00Z"}


def _spellings(text: str) -> st.SearchStrategy[str]:
    at = datetime.fromisoformat(text)
    offset = timedelta(hours=14)
    return st.sampled_from([text, text.lower(), (at + offset).isoformat().replace("+00:00", "+14:00")])


class Extremes:
    """Values for the schemas of one document, round an instant."""

    def __init__(self, document: Mapping[str, Any], around: Instant) -> None:
        self._parts: Mapping[str, Any] = document["components"]["schemas"]
        self._around = around

    def body(self, document: Mapping[str, Any], method: str, path: str) -> st.SearchStrategy[Any]:
        """Bodies of a route."""
        return self.of(document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"])

    def of(self, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        """Values that a schema allows."""
        if "$ref" in schema:
            return self.of(self._parts[schema["$ref"].rpartition("/")[2]])
        for choice in ("anyOf", "oneOf", "allOf"):
            if choice in schema:
                return st.one_of([self.of(one) for one in schema[choice]])
        if "enum" in schema or "const" in schema:
            return st.sampled_from(schema.get("enum", [schema.get("const")]))
        make = {
            "string": self._text,
            "integer": self._number,
            "number": self._number,
            "boolean": lambda _: st.booleans(),
            "null": lambda _: st.none(),
            "array": self._list,
            "object": self._object,
        }
        return make[schema["type"]](schema)

    def _text(self, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        if schema.get("format") == "date-time":
            return times(self._around)
        if schema.get("format") == "duration":
            return st.sampled_from(["PT0S", "P183D", "P182DT23H59M59.999999S", "PT0.000001S", "P14D"])
        pattern = schema.get("pattern", "")
        if pattern == HUB_PATTERN:
            return st.sampled_from([spell(hub) for hub in HUBS for spell in (hub_eui64, hub_hex)])
        if pattern == RELEASE_PATTERN:
            return st.sampled_from(["a" * 40, "000", "A--", "edge-1"])
        if "maxLength" in schema:
            return words(schema["maxLength"])
        if pattern:
            return st.from_regex(pattern, fullmatch=True)
        return st.sampled_from([*ENTRIES, *map(hub_eui64, HUBS)])

    @staticmethod
    def _number(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        greatest = schema["maximum"]
        if "exclusiveMinimum" in schema:
            least = 1e-11
        return st.sampled_from([least, greatest])

    def _list(self, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        return st.lists(self.of(schema["items"]), min_size=schema.get("minItems", 0), max_size=3)

    def _object(self, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        fields = {name: self.of(one) for name, one in schema["properties"].items()}
        required = set(schema.get("required", ()))
        return st.fixed_dictionaries(
            {name: value for name, value in fields.items() if name in required},
            optional={name: value for name, value in fields.items() if name not in required},
        )
