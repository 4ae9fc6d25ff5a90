"""A folder of source files is a package: import contracts and wheels pass over one that is not, without a word."""

from collections.abc import Iterator

from tools.checks.tree import Finding, Tree

CHECK = "package"


def check(tree: Tree) -> Iterator[Finding]:
    """Source files in a folder without an `__init__.py`."""
    for source in tree.sources(".py", under=("libs/", "services/")):
        folder = source.name.parent
        if "src" in folder.parts[:-1] and str(folder / "__init__.py") not in tree.paths:
            yield Finding(source.path, 1, CHECK, f"{folder} has no __init__.py, so no import contract sees this file")
