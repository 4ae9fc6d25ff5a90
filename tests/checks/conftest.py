"""A copy of the work tree to damage, and the make targets to notice it. Needs no server."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The environment these tests run in, so that nothing is installed for a copy.
ENVIRONMENT = Path(sys.prefix)


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of every file that belongs to the project, in a git work tree of its own."""

    root: Path

    def make(self, target: str) -> subprocess.CompletedProcess[str]:
        """Run one target as `make check` does, with what it prints."""
        return subprocess.run(
            ["make", target, f"VENV={ENVIRONMENT}", "READY="],
            cwd=self.root,
            env={
                name: value
                for name, value in os.environ.items()
                if name not in {"MAKEFLAGS", "MAKELEVEL", "PYTHONPATH"}
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )

    @contextmanager
    def planted(self, path: str, text: str) -> Iterator[None]:
        """Add the text to the end of a file, which may be new; take it back afterwards."""
        file = self.root / path
        before = file.read_bytes() if file.exists() else None
        made = [folder for folder in file.parents if not folder.exists()]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes((before or b"") + text.encode())
        for folder in made:
            if "src" in folder.parent.parts:  # a package, not a bare folder: else import-linter sees nothing in it
                (folder / "__init__.py").touch()
        try:
            yield
        finally:
            if before is None:
                file.unlink()
            else:
                file.write_bytes(before)
            for folder in made:
                shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """The present work tree, tracked or not, without what git ignores."""
    root = tmp_path_factory.mktemp("tree")
    listing = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    for path in filter(None, listing.stdout.split("\0")):
        if (ROOT / path).is_file():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, root / path)
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    return Copy(root)
