"""Which form of an answer a client prefers: the Accept header as RFC 9110, section 12.5.1, has it.

Weights, case and several header lines count. Parameters of a media range other than its weight do not: each form is
offered once. A range that is not of the grammar is passed over.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from fastapi import Request

from chfw_common.runtime.http.json_route import JSON
from chfw_common.runtime.http.paging import CSV, NDJSON

LIST_FORMS = (JSON, NDJSON, CSV)
"""The forms of a list, the one that is answered by default first."""

# Commas and semicolons inside quotes do not separate; quotes that are not closed go on to the end.
_MEMBERS = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
_PARTS = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*"?)+')
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_RANGE = re.compile(rf"({_TOKEN})/({_TOKEN})")
_WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
_SPACE = " \t"


class Range(NamedTuple):
    """A media range and its weight, 0 (not wanted) to 1; `*` stands for any."""

    kind: str
    subtype: str
    weight: float

    def fit(self, form: str) -> int:
        """How closely the range names the form: 3 by its name, 2 by its kind, 1 as anything, 0 not at all."""
        kind, _, subtype = form.partition("/")
        if (self.kind, self.subtype) == (kind, subtype):
            return 3
        if self.subtype != "*":
            return 0
        return {kind: 2, "*": 1}.get(self.kind, 0)


def ranges(lines: Iterable[str]) -> Iterator[Range]:
    """The media ranges of all lines of the header."""
    for member in _MEMBERS.findall(",".join(lines)):
        name, *parameters = (part.strip(_SPACE) for part in _PARTS.findall(member))
        stated = _RANGE.fullmatch(name)
        weights = [value.strip(_SPACE) for key, _, value in (p.partition("=") for p in parameters)
                   if key.strip(_SPACE).lower() == "q"]  # fmt: skip
        if stated is None or not all(map(_WEIGHT.fullmatch, weights)):
            continue
        kind, subtype = stated.group(1).lower(), stated.group(2).lower()
        if kind != "*" or subtype == "*":
            yield Range(kind, subtype, float(weights[0]) if weights else 1.0)


def preferred(lines: Iterable[str], forms: Sequence[str]) -> str:
    """The form with the greatest weight. Among equals the one that is named most closely, then the one named first.

    Without any that is wanted it is the first of the forms: the header may be disregarded then.
    """
    stated = list(ranges(lines))
    best, best_rank = forms[0], (0.0, 0, 0)
    for form in forms:
        fits = [(one.fit(form), one.weight, -place) for place, one in enumerate(stated) if one.fit(form)]
        fit, weight, place = max(fits, default=(0, 0.0, 0))
        if weight and (weight, fit, place) > best_rank:
            best, best_rank = form, (weight, fit, place)
    return best


async def list_form(request: Request) -> str:
    """The form in which a list is wanted (a dependency): one of LIST_FORMS."""
    return preferred(request.headers.getlist("accept"), LIST_FORMS)
