"""What the documents point to exists: links, decisions, clauses, tests."""

import re
from collections.abc import Iterator
from posixpath import normpath
from urllib.parse import unquote

from tools.checks.tree import Finding, Source, Tree

ADR = "adr"
LINK = "link"
TRACE = "traceability"
_ADR_FOLDER = "docs/adr/"
_ADR_NAME = re.compile(r"(\d{4})-[a-z0-9-]+\.md")
_LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
_OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_FENCE = re.compile(r"^\s*(```|~~~)")
_CODE = re.compile(r"`[^`]*`")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$")
_CLAUSE = re.compile(r"\b(?:G|R\d|A|B)-\d+\b")
_DEFINED = re.compile(r"^\|\s*((?:G|R\d|A|B)-\d+)\b")
_TEST = re.compile(r"\btests/[\w./-]+?\.py\b(?:::(\w+))?")
_REQUIREMENTS = "docs/requirements.md"
_TRACEABILITY = "docs/traceability.md"


def check_adrs(tree: Tree) -> Iterator[Finding]:
    """Decisions are numbered from 0001 without gaps, and the index lists each of them."""
    index = tree.source(f"{_ADR_FOLDER}README.md")
    numbers: list[int] = []
    for path in sorted(p for p in tree.paths if p.startswith(_ADR_FOLDER) and not p.endswith("/README.md")):
        name = path.removeprefix(_ADR_FOLDER)
        match = _ADR_NAME.fullmatch(name)
        if match is None:
            yield Finding(path, 1, ADR, "a decision is named NNNN-some-words.md")
            continue
        numbers.append(int(match.group(1)))
        if numbers != list(range(1, len(numbers) + 1)):
            yield Finding(path, 1, ADR, f"expected number {len(numbers):04}")
            return
        if index is None or f"({name})" not in index.text:
            yield Finding(f"{_ADR_FOLDER}README.md", 1, ADR, f"does not list {name}")


def check_links(tree: Tree) -> Iterator[Finding]:
    """Every relative link in a Markdown file leads to a file, and to a heading if it names one."""
    for source in tree.sources(".md"):
        for number, target in _links(source):
            path, _, anchor = target.partition("#")
            there = normpath(str(source.name.parent / unquote(path))) if path else source.path
            if there not in tree.paths and there not in tree.folders:
                yield Finding(source.path, number, LINK, f"{target}: no such file")
            elif anchor and there.endswith(".md") and anchor not in _anchors(tree.source(there)):
                yield Finding(source.path, number, LINK, f"{target}: no such heading")


def check_traceability(tree: Tree) -> Iterator[Finding]:
    """Each clause that the traceability page cites is in the requirements, each test is in the tree."""
    page = tree.source(_TRACEABILITY)
    if page is None:
        return
    requirements = tree.source(_REQUIREMENTS)
    lines = requirements.text.splitlines() if requirements else []
    defined = {match.group(1) for match in map(_DEFINED.match, lines) if match}
    for number, line in page.lines():
        for clause in _CLAUSE.findall(line):
            if clause not in defined:
                yield Finding(page.path, number, TRACE, f"{clause}: no such clause in {_REQUIREMENTS}")
        for match in _TEST.finditer(line):
            path, _, function = match.group().partition("::")
            test = tree.source(path)
            if test is None:
                yield Finding(page.path, number, TRACE, f"{path}: no such file")
            elif function and not re.search(rf"\b(?:def|class) {function}\b", test.text):
                yield Finding(page.path, number, TRACE, f"{path}: has no {function}")


def _prose(source: Source) -> Iterator[tuple[int, str]]:
    fenced = False
    for number, line in source.lines():
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            yield number, line


def _links(source: Source) -> Iterator[tuple[int, str]]:
    for number, line in _prose(source):
        for target in _LINK.findall(_CODE.sub("", line)):
            if not _OUTSIDE.match(target):
                yield number, target


def _anchors(source: Source | None) -> frozenset[str]:
    headings = (_HEADING.match(line) for _, line in _prose(source)) if source else ()
    return frozenset(
        re.sub(r"[^\w\- ]", "", heading.group(1).lower()).replace(" ", "-") for heading in headings if heading
    )
