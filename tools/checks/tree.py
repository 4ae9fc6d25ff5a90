"""What every check sees: the files of the work tree, read once, and the findings it gives back."""

import ast
import subprocess
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

ALLOWED = "tools/checks/allowed.toml"


class NoWorkTreeError(Exception):
    """The folder is not a git work tree, so nobody can say which files belong to the project."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One breach of one rule, at one place."""

    path: str
    line: int
    check: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.check}: {self.message}"


@dataclass(frozen=True, slots=True)
class Source:
    """One text file; `path` is relative to the root of the tree."""

    path: str
    text: str

    @property
    def name(self) -> PurePosixPath:
        """The path as a path."""
        return PurePosixPath(self.path)

    def syntax(self) -> ast.Module:
        """The parsed module; only for Python files."""
        return ast.parse(self.text, filename=self.path)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Numbered lines, from 1."""
        return enumerate(self.text.splitlines(), start=1)


@dataclass(frozen=True, slots=True)
class Exemption:
    """A place where a check does not apply, and why."""

    check: str
    path: str
    reason: str
    function: str = ""


@dataclass(frozen=True)
class Tree:
    """The files git tracks or would track, under `root`."""

    root: Path
    paths: frozenset[str]
    exemptions: tuple[Exemption, ...] = ()
    _read: dict[str, Source | None] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, root: Path) -> "Tree":
        """List the tree; an ignored file is not part of it, an untracked one is."""
        command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listing = subprocess.run(command, capture_output=True, text=True, check=False)
        if listing.returncode != 0:
            raise NoWorkTreeError(listing.stderr.strip())
        paths = frozenset(p for p in listing.stdout.split("\0") if p and (root / p).is_file())
        return cls(root, paths, tuple(_exemptions(root / ALLOWED)))

    def source(self, path: str) -> Source | None:
        """The text of one file; nothing when the tree has no such file or it is not text."""
        if path not in self._read:
            self._read[path] = self._load(path)
        return self._read[path]

    def sources(self, *suffixes: str, under: Iterable[str] = ("",)) -> Iterator[Source]:
        """All text files with one of the suffixes (any when none is given) below one of the folders."""
        roots = tuple(under)
        for path in sorted(self.paths):
            if path.startswith(roots) and (not suffixes or path.endswith(suffixes)):
                source = self.source(path)
                if source is not None:
                    yield source

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder that holds a file."""
        return frozenset(str(parent) for path in self.paths for parent in PurePosixPath(path).parents)

    def exempt(self, check: str, path: str, function: str = "") -> bool:
        """Whether the allow-list names this place."""
        return any((e.check, e.path, e.function) == (check, path, function) for e in self.exemptions)

    def _load(self, path: str) -> Source | None:
        if path not in self.paths:
            return None
        raw = (self.root / path).read_bytes()
        if b"\0" in raw:
            return None
        return Source(path, raw.decode("utf-8", errors="replace"))


def _exemptions(path: Path) -> Iterator[Exemption]:
    if path.is_file():
        for row in tomllib.loads(path.read_text(encoding="utf-8")).get("allow", []):
            yield Exemption(row["check"], row["path"], row["reason"], row.get("function", ""))


def function_of(module: ast.Module) -> dict[ast.AST, str]:
    """For each node, the dotted name of the function or class it stands in; empty at the top of the module."""
    names: dict[ast.AST, str] = {}

    def walk(node: ast.AST, inside: str) -> None:
        for child in ast.iter_child_nodes(node):
            names[child] = inside
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                walk(child, f"{inside}.{child.name}" if inside else child.name)
            else:
                walk(child, inside)

    walk(module, "")
    return names
