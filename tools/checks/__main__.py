"""Run checks over the work tree: `python -m tools.checks code` or `docs`. Exit 1 with one line a finding."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tools.checks import clock, documents, excepts, packages, size, sql, text
from tools.checks.tree import ALLOWED, Finding, Tree

Check = Callable[[Tree], Iterator[Finding]]


def check_exemptions(tree: Tree) -> Iterator[Finding]:
    """An exemption that exempts nothing is deleted, so that the list stays true."""
    for exemption in tree.exemptions:
        if not exemption.reason.strip():
            yield Finding(ALLOWED, 1, "exemption", f"{exemption.path}: no reason given")
        if exemption.path not in tree.paths:
            yield Finding(ALLOWED, 1, "exemption", f"{exemption.path}: no such file")
            continue
        without = Tree(tree.root, frozenset({exemption.path}))
        if not any(finding.check == exemption.check for run in CODE for finding in run(without)):
            yield Finding(ALLOWED, 1, "exemption", f"{exemption.check} at {exemption.path}: not needed")


CODE: tuple[Check, ...] = (
    clock.check,
    sql.check,
    text.check_machine,
    text.check_requirements,
    size.check,
    excepts.check,
)
GROUPS: dict[str, tuple[Check, ...]] = {
    "code": (*CODE, packages.check, check_exemptions),
    "docs": (documents.check_adrs, documents.check_links, documents.check_traceability),
}


def main(arguments: list[str]) -> int:
    """Print every finding of the groups named."""
    started = time.monotonic()
    tree = Tree.of(Path.cwd())
    findings = sorted(finding for group in arguments for run in GROUPS[group] for finding in run(tree))
    for finding in findings:
        sys.stdout.write(f"{finding}\n")
    took = time.monotonic() - started
    sys.stdout.write(f"{' and '.join(arguments)}: {len(tree.paths)} files, {len(findings)} findings, {took:.1f} s\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
