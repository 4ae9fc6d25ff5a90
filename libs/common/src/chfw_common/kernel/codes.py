"""Codes of devices: manufacturer, model, hardware and firmware, which are numbers written in hexadecimal (GBCS).

The schema of DUIS does not enforce that, so other texts occur. Where a text is hexadecimal, `0102040a` and `0102040A`
are one version.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

_HEX = re.compile(r"[0-9A-Fa-f]+")
_KEPT = 4_096
"""Codes whose spelling is remembered: an estate has a few hundred, and millions of records."""


@lru_cache(_KEPT)
def code(text: str) -> str:
    """The code as it is stored, shown and compared: hexadecimal in upper case, any other text as it stands."""
    return text.upper() if _HEX.fullmatch(text) else text


def codes(texts: Iterable[str]) -> frozenset[str]:
    """The set of some codes."""
    return frozenset(map(code, texts))
