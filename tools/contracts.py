"""Two kinds of import contract that import-linter lacks; .importlinter uses them.

Both are lists of what is allowed, both accept modules that do not exist yet, and both name the file and the line.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

_SELF = "self"
_STANDARD_LIBRARY = "standard-library"
_THIRD_PARTY = "third-party"


@dataclass(frozen=True, slots=True, order=True)
class Breach:
    """One import that no contract allows."""

    place: str
    importer: str
    imported: str


def inside(pattern: str, module: str) -> str | None:
    """The part of `module` that `pattern` matches, when the pattern covers it; `*` stands for (part of) one name."""
    regex = re.escape(pattern).replace(r"\*", "[^.]*")
    found = re.match(rf"({regex})(?:\.|$)", module)
    return found.group(1) if found else None


def _matched(patterns: set[str], module: str) -> str | None:
    return next((part for part in (inside(p, module) for p in sorted(patterns)) if part is not None), None)


def _is_ours(module: str) -> bool:
    return module.startswith("chfw_")


def _is_allowed(allowed: set[str], *, home: str, imported: str) -> bool:
    root = imported.partition(".")[0]
    if _SELF in allowed and inside(home, imported):
        return True
    if root in sys.stdlib_module_names:
        return _STANDARD_LIBRARY in allowed
    if _THIRD_PARTY in allowed and not _is_ours(root):
        return True
    return _matched(allowed, imported) is not None


def _place(module: str, line: int) -> str:
    root, _, rest = module.partition(".")
    spec = find_spec(root)
    if spec is None or spec.origin is None:
        return f"{module}:{line}"
    base = Path(spec.origin).parent.joinpath(*rest.split(".")) if rest else Path(spec.origin).parent
    path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    here = Path.cwd()
    return f"{path.relative_to(here) if path.is_relative_to(here) else path}:{line}"


def _breaches(graph: ImportGraph, importer: str, imported: str) -> Iterator[Breach]:
    for detail in graph.get_import_details(importer=importer, imported=imported):
        yield Breach(_place(importer, detail["line_number"]), importer, imported)


def _patterns(field: object) -> set[str]:
    """What import-linter put in place of a declared field."""
    return cast("set[str]", field)


def _verdict(breaches: set[Breach]) -> ContractCheck:
    return ContractCheck(kept=not breaches, metadata={"breaches": sorted(breaches)})


def _render(check: ContractCheck) -> None:
    for breach in check.metadata["breaches"]:
        output.print_error(f"{breach.place}: {breach.importer} may not import {breach.imported}", bold=False)
    output.new_line()


class AllowedImports(Contract):
    """The modules named, and everything inside them, import only what is listed."""

    type_name = "allowed"

    modules = fields.SetField(subfield=fields.StringField())
    except_modules = fields.SetField(subfield=fields.StringField(), required=False, default=set())
    may_import = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at direct imports; what is allowed has contracts of its own."""
        output.verbose_print(verbose, f"Checking the contract: {self.name}")
        modules, others, allowed = map(_patterns, (self.modules, self.except_modules, self.may_import))
        breaches: set[Breach] = set()
        for importer in graph.modules:
            home = _matched(modules, importer)
            if home is None or _matched(others, importer):
                continue
            for imported in graph.find_modules_directly_imported_by(importer):
                if not _is_allowed(allowed, home=home, imported=imported):
                    breaches.update(_breaches(graph, importer, imported))
        return _verdict(breaches)

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line a breach."""
        _render(check)


class OnlyImportedBy(Contract):
    """The packages named are imported by the modules listed and by nobody else of ours."""

    type_name = "only_imported_by"

    packages = fields.SetField(subfield=fields.StringField())
    importers = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at who imports each package directly."""
        output.verbose_print(verbose, f"Checking the contract: {self.name}")
        packages, importers = map(_patterns, (self.packages, self.importers))
        breaches: set[Breach] = set()
        for package in sorted(packages & graph.modules):
            for importer in graph.find_modules_that_directly_import(package):
                if _matched(importers, importer) is None:
                    breaches.update(_breaches(graph, importer, package))
        return _verdict(breaches)

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line a breach."""
        _render(check)
