"""SQL statements by name: every statement stands in a `.sql` file under its name and a sentence that explains it."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

_NAME = re.compile(r"-- name: (?P<name>[a-z][a-z0-9_]*)\n")


class InvalidQueriesError(ValueError):
    """The file of statements does not have the expected form."""


def parse_queries(text: str) -> dict[str, str]:
    """The statements of a file by name. Each begins with `-- name: x` and a sentence in comment lines.

    The comments stay in front of the statement, so that a log of the server says what it is.
    """
    pieces = _NAME.split(text)
    if pieces[0].strip():
        raise InvalidQueriesError("text before the first name")
    found: dict[str, str] = {}
    for name, body in zip(pieces[1::2], pieces[2::2], strict=True):
        statement = body.strip().removesuffix(";")
        if not statement.startswith("--"):
            raise InvalidQueriesError(f"{name}: no sentence says what it is for")
        if name in found:
            raise InvalidQueriesError(f"{name}: twice")
        found[name] = f"-- {name}\n{statement}"
    return found


@cache
def load_queries(package: str, file: str) -> Mapping[str, str]:
    """The statements of a file inside a package, by name."""
    return MappingProxyType(parse_queries((files(package) / file).read_text()))
