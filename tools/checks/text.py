"""A committed file names no machine: no folder of somebody's disk, no address of a package registry."""

import re
from collections.abc import Iterator

from tools.checks.tree import Finding, Tree

MACHINE_PATH = "machine-path"
REQUIREMENTS = "requirements"
# Taken apart, because this file is checked too.
_FOLDERS = ("root", "home", "work", "Users", r"tmp/w\w*")
_HOSTS = (
    ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("crates", "io"),
    ("golang", "org"), ("maven", "org"), ("maven", "apache", "org"), ("debian", "org"), ("docker", "io"),
    ("ghcr", "io"), ("quay", "io"), ("yarnpkg", "com"),
)  # fmt: skip
_PATH = re.compile(rf"(?<![\w.\-/*}}>])/(?:{'|'.join(_FOLDERS)})/")
_HOST = re.compile(rf"(?<![\w-])(?:[\w-]+\.)*(?:{'|'.join(re.escape('.'.join(host)) for host in _HOSTS)})\b")
_ADDRESS = re.compile(
    r"://|--?(?:extra-)?index-url|--find-links|--trusted-host|^\s*-[if]\s|@\s*(?:http|git|file)|^\s*-e\s"
)


def check_machine(tree: Tree) -> Iterator[Finding]:
    """Absolute paths of a machine and host names of registries, in every text file of the tree."""
    for source in tree.sources():
        if tree.exempt(MACHINE_PATH, source.path):
            continue
        for number, line in source.lines():
            for match in _PATH.finditer(line):
                yield Finding(source.path, number, MACHINE_PATH, f"{match.group()}: a path of one machine")
            for match in _HOST.finditer(line):
                yield Finding(source.path, number, MACHINE_PATH, f"{match.group()}: the address of a registry")


def check_requirements(tree: Tree) -> Iterator[Finding]:
    """An address in a requirements file: where packages come from is the business of whoever installs."""
    for source in tree.sources(".txt", ".in", under=("requirements/",)):
        for number, line in source.lines():
            match = _ADDRESS.search(line)
            if match:
                yield Finding(source.path, number, REQUIREMENTS, f"{match.group().strip()}: no addresses here")
