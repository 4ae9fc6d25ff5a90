"""The database reads no clock and throws no dice: instants and ids come in as parameters, so a run can be repeated."""

import ast
import re
from collections.abc import Iterator

from tools.checks.tree import Finding, Source, Tree

CHECK = "sql"
_CODE = ("libs/common/src/", "libs/cli/src/", "services/")
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_BANNED = re.compile(
    r"\b(?:(?:now|random|random_normal|timeofday|setseed|gen_random_uuid|gen_random_bytes|uuidv4|uuidv7)\s*\("
    r"|(?:clock|statement|transaction)_timestamp\s*\("
    r"|uuid_generate\w*"
    r"|current_(?:timestamp|date|time)\b"
    r"|localtime(?:stamp)?\b)"
    r"|'(?:now|today|tomorrow|yesterday)'\s*::"
    r"|\b(?:timestamptz|timestamp|date)\s*'(?:now|today|tomorrow|yesterday)'",
    re.IGNORECASE,
)
_CALLS = frozenset(
    {"execute", "executemany", "fetch", "fetchrow", "fetchval", "fetchmany", "cursor", "prepare", "copy_from_query"}
)


def check(tree: Tree) -> Iterator[Finding]:
    """Banned functions in .sql files, and in the statements that Python passes to a connection."""
    for source in tree.sources(".sql", ".py", under=_CODE):
        if tree.exempt(CHECK, source.path):
            continue
        yield from _in_sql(source.path, 1, source.text) if source.path.endswith(".sql") else _in_python(source)


def _in_sql(path: str, first_line: int, text: str) -> Iterator[Finding]:
    bare = _COMMENT.sub(lambda comment: "\n" * comment.group().count("\n"), text)
    for match in _BANNED.finditer(bare):
        line = first_line + bare.count("\n", 0, match.start())
        said = match.group().rstrip(" (")
        yield Finding(path, line, CHECK, f"{said}: pass instants, ids and choices in as parameters")


def _in_python(source: Source) -> Iterator[Finding]:
    module = source.syntax()
    constants = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found: set[Finding] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CALLS:
            for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                meant = constants.get(argument.id, argument) if isinstance(argument, ast.Name) else argument
                for text in ast.walk(meant):
                    if isinstance(text, ast.Constant) and isinstance(text.value, str):
                        found.update(_in_sql(source.path, text.lineno, text.value))
    yield from sorted(found)
