"""The licences of what chfw installs, read from the packages themselves: a part of docs/dependencies.md.

What stands in requirements/base.txt is installed in production, what local.txt adds is for this machine alone.
"""

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

_PINNED = re.compile(r"^(\S+==[^\\\n]+?) *\\?$", re.MULTILINE)
_LINUX = {"sys_platform": "linux", "platform_python_implementation": "CPython", "implementation_name": "cpython"}
_CLASSIFIER = "License :: OSI Approved :: "
_LONGEST = 60
"""Characters of a licence's name; some packages put its whole text where the name belongs."""


class UnknownLicenceError(LookupError):
    """A package does not say under which licence it may be used."""


def rows() -> list[tuple[str, str, str]]:
    """(package, licence, where it is installed), by name. Raises UnknownLicenceError."""
    production = set(_packages("base"))
    return [
        (f"`{name}`", licence(name), "production" if name in production else "this machine")
        for name in sorted(production | set(_packages("local")))
    ]


def licence(package: str) -> str:
    """What an installed package says of its licence. Raises UnknownLicenceError."""
    about = metadata.metadata(package).json
    stated = [one.removeprefix(_CLASSIFIER) for one in about.get("classifier", []) if one.startswith(_CLASSIFIER)]
    for said in (about.get("license_expression"), ", ".join(sorted(stated)), about.get("license")):
        if said and said != "UNKNOWN":
            return str(said).strip().splitlines()[0][:_LONGEST]
    raise UnknownLicenceError(package)


def _packages(layer: str) -> Iterator[str]:
    """The names of what a layer installs on Linux."""
    for line in _PINNED.findall(Path(f"requirements/{layer}.txt").read_text(encoding="utf-8")):
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate(_LINUX):
            yield wanted.name
