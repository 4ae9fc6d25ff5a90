"""Whoever catches everything and goes on must be named: the consume loop, the task guard, the HTTP boundary.

A handler that tidies up and always raises again stops nothing, so it needs no name.
"""

import ast
from collections.abc import Iterator

from tools.checks.tree import Finding, Tree, function_of

CHECK = "broad-except"
_BROAD = frozenset({"Exception", "BaseException"})
_SUPPRESSORS = frozenset({"suppress", "raises"})


def check(tree: Tree) -> Iterator[Finding]:
    """`except Exception`, `except BaseException`, bare `except` and `suppress(Exception)` outside the named places."""
    for source in tree.sources(".py"):
        for node, function in function_of(source.syntax()).items():
            said = _broad(node)
            if said and not tree.exempt(CHECK, source.path, function):
                where = function or "the module"
                yield Finding(source.path, getattr(node, "lineno", 1), CHECK, f"{said} in {where}")


def _broad(node: ast.AST) -> str:
    if isinstance(node, ast.ExceptHandler):
        if _always_raises(node):
            return ""
        return "a bare except" if node.type is None else _named(node.type, "except")
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in _SUPPRESSORS:
            return next(filter(None, (_named(argument, called) for argument in node.args)), "")
    return ""


def _always_raises(handler: ast.ExceptHandler) -> bool:
    leaves = (ast.Return, ast.Continue, ast.Break)
    inside = (node for statement in handler.body for node in ast.walk(statement))
    return isinstance(handler.body[-1], ast.Raise) and not any(isinstance(node, leaves) for node in inside)


def _named(node: ast.expr, verb: str) -> str:
    named = node.elts if isinstance(node, ast.Tuple) else [node]
    broad = next((n.id for n in named if isinstance(n, ast.Name) and n.id in _BROAD), None)
    return f"{verb} {broad}" if broad else ""
