"""A module is read in one sitting, a function on one screen."""

import ast
from collections.abc import Iterator

from tools.checks.tree import Finding, Tree, function_of

CHECK = "size"
MODULE_LINES = 400
FUNCTION_LINES = 60


def check(tree: Tree) -> Iterator[Finding]:
    """Modules and functions over the limit; an exemption needs an ADR."""
    for source in tree.sources(".py"):
        length = len(source.text.splitlines())
        if length > MODULE_LINES and not tree.exempt(CHECK, source.path):
            yield Finding(source.path, 1, CHECK, f"{length} lines, {MODULE_LINES} at most")
        module = source.syntax()
        places = function_of(module)
        for node, inside in places.items():
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            name = ".".join(filter(None, (inside, node.name)))
            if length > FUNCTION_LINES and not tree.exempt(CHECK, source.path, name):
                yield Finding(source.path, node.lineno, CHECK, f"{name}: {length} lines, {FUNCTION_LINES} at most")
