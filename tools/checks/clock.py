"""Time is an argument: rules never read a clock, and one module reads the calendar clock for everybody."""

import ast
from collections.abc import Iterator

from tools.checks.tree import Finding, Source, Tree

CHECK = "clock"
CLOCK_MODULE = "libs/common/src/chfw_common/runtime/clock.py"
_CALENDAR = frozenset(
    f"datetime.{name}"
    for name in ("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.utcfromtimestamp")
)
_MACHINE = frozenset(
    f"time.{name}{unit}"
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time")
    for unit in ("", "_ns")
) | {"time.localtime", "time.gmtime", "time.sleep", "time.clock_gettime", "asyncio.sleep", "asyncio.timeout"}
_LOOP_GETTERS = frozenset({"asyncio.get_event_loop", "asyncio.get_running_loop", "asyncio.new_event_loop"})


def check(tree: Tree) -> Iterator[Finding]:
    """Clock reads in a domain or the kernel; calendar reads anywhere else than in the clock module."""
    for source in tree.sources(".py"):
        if tree.exempt(CHECK, source.path):
            continue
        banned = _banned_in(source)
        for line, name in _uses(source):
            if name in banned:
                yield Finding(source.path, line, CHECK, f"{name}: time is an argument here, not something to read")


def _banned_in(source: Source) -> frozenset[str]:
    folders = source.name.parts[:-1]
    if "domain" in folders or "kernel" in folders or source.name.name == "domain.py":
        return _CALENDAR | _MACHINE | {"loop.time"}
    return frozenset() if source.path == CLOCK_MODULE else _CALENDAR


def _uses(source: Source) -> Iterator[tuple[int, str]]:
    module = source.syntax()
    aliases = _aliases(module)
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute | ast.Name):
            name = _full_name(node, aliases)
            if name:
                yield node.lineno, name


def _aliases(module: ast.Module) -> dict[str, str]:
    """What each imported local name stands for."""
    found: dict[str, str] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                found[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _full_name(node: ast.expr, aliases: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return aliases.get(node.id, "")
    if not isinstance(node, ast.Attribute):
        return ""
    if node.attr == "time" and _is_loop(node.value, aliases):
        return "loop.time"
    owner = _full_name(node.value, aliases)
    return f"{owner}.{node.attr}" if owner else ""


def _is_loop(node: ast.expr, aliases: dict[str, str]) -> bool:
    if isinstance(node, ast.Call):
        return _full_name(node.func, aliases) in _LOOP_GETTERS
    if isinstance(node, ast.Attribute):
        return node.attr in {"loop", "_loop"}
    return isinstance(node, ast.Name) and node.id in {"loop", "_loop"}
