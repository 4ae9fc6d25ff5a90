"""Texts as others write them: words that can be seen, names that stand once, and how a message repeats them."""

import re
from typing import Any

SHOWN = 64
"""Characters of a sender's text that a message repeats."""
_FILLERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters and marks that show nothing (Default_Ignorable_Code_Point of Unicode), and the empty cell of Braille."""


class UnseenTextError(ValueError):
    """The text says nothing that a person could see, or has a character that shows nothing."""


class RepeatedNameError(ValueError):
    """An object of a JSON document has a name twice: which of the two counts, nobody can know."""

    def __init__(self, name: str) -> None:
        super().__init__(f"an object has the name `{shown(name)}` twice")


def words(text: str) -> str:
    """The text without the blanks round it. Raises UnseenTextError unless all of it can be printed, in one line, and
    something of it is a letter or a digit."""
    stripped = text.strip()
    if not stripped.isprintable() or _FILLERS.search(stripped):
        place, unseen = next((n, c) for n, c in enumerate(stripped, 1) if not c.isprintable() or _FILLERS.match(c))
        raise UnseenTextError(f"character {place} is U+{ord(unseen):04X}, which shows nothing: leave it out")
    if not any(map(str.isalnum, stripped)):
        raise UnseenTextError("the text is blank: it needs a letter or a digit")
    return stripped


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are all different (an `object_pairs_hook` of json). Raises RepeatedNameError."""
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise RepeatedNameError(name)
            seen.add(name)
    return made


def shown(text: str) -> str:
    """The text as a message repeats it: cut, and without what no message can carry."""
    return text[:SHOWN].encode("utf-8", "backslashreplace").decode()
