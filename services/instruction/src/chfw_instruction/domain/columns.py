"""The header of a CSV list: which column has the hubs, and which may stand beside it.

A column of the sender's own is given back and says nothing. So none may look as if it said something: what stands in a
column that is called like a term of the request would be taken for an instruction by who wrote it, and by nobody else.
"""

import difflib
import re
import unicodedata
from collections.abc import Sequence

from chfw_common.kernel.ids import InvalidIdError, parse_hub_id
from chfw_common.kernel.texts import shown

ID_COLUMNS = ("hub", "device_id")
_FOLDED = {name.replace("_", ""): name for name in ID_COLUMNS}
_SEPARATORS = {";": "`;`", "\t": "a tab", "|": "`|`"}
_TERMS = {
    "kind": "kind",
    "answer": "kind",
    "instruct": "kind",
    "instruction": "kind",
    "agree": "kind",
    "decline": "kind",
    "withdraw": "kind",
    "group": "group",
    "grp": "group",
    "pilot": "group",
    "safelaunch": "group",
    "activate": "activate_at",
    "activation": "activate_at",
    "activateat": "activate_at",
    "execution": "activate_at",
    "executiondatetime": "activate_at",
}
"""What a column about a term of the request might be called, in one word, and the term."""
_LIKENESS = 0.8
MOST_COLUMNS = 200
"""Columns a list may have."""
_READ = 100
"""Characters of a name that are compared."""


class HeaderError(ValueError):
    """The header cannot be taken; the text says why, and how to mend it."""


def id_column(header: Sequence[str]) -> int:
    """The place of the column that has the hubs. Raises HeaderError for a header that cannot be taken."""
    if len(header) > MOST_COLUMNS:
        raise HeaderError(f"the header has more than {MOST_COLUMNS} columns: leave out what you do not need back")
    names = [name for name in ID_COLUMNS if name in header]
    if not names:
        raise HeaderError(_without_id(header))
    for place, name in enumerate(header, 1):
        if not name.strip():
            raise HeaderError(f"column {place} of the header has no name: name it, or leave it out")
        if header.index(name) != place - 1:
            raise HeaderError(f"the header has the column `{shown(name)}` twice")
        if _fold(name) in _FOLDED and name != names[0]:
            raise HeaderError(f"the columns `{names[0]}` and `{shown(name)}` both name the hub: leave one out")
        term = term_like(name)
        if term is not None:
            raise HeaderError(
                f"the column `{shown(name)}` looks like the term `{term}`, which is stated in the query for the whole"
                " list: state it there, and leave the column out or call it something else"
            )
    return header.index(names[0])


def term_like(name: str) -> str | None:
    """The term of a request that a column of this name seems to state, or None."""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", unicodedata.normalize("NFKC", name[:_READ]))
    spoken = [word.casefold() for word in re.split(r"[\W_]+", plain) if word]
    for word in (*spoken, _fold(name)):
        near = difflib.get_close_matches(word, _TERMS, n=1, cutoff=_LIKENESS)
        if near:
            return _TERMS[near[0]]
    return "activate_at" if "activat" in _fold(name) else None


def _without_id(header: Sequence[str]) -> str:
    missing = "the header has no column `hub` or `device_id`"
    for separator, called in _SEPARATORS.items():
        if any(_fold(part) in _FOLDED for name in header if separator in name for part in name.split(separator)):
            return f"{missing}: it looks separated by {called}, and the cells of a row are separated by commas"
    if any(_is_hub(name) for name in header):
        return f"{missing}: the file begins with a hub, and its first row has to name the columns"
    near = next((name for name in header if _near_id(name)), None)
    return missing if near is None else f"{missing}: write `{shown(near)}` as `{_near_id(near)}`"


def _near_id(name: str) -> str | None:
    near = difflib.get_close_matches(_fold(name), _FOLDED, n=1, cutoff=0.7)
    return _FOLDED[near[0]] if near else None


def _fold(name: str) -> str:
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", name[:_READ])).casefold()


def _is_hub(text: str) -> bool:
    try:
        parse_hub_id(text.strip())
    except InvalidIdError:
        return False
    return True
