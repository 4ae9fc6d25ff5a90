"""Is there a Java that runs Kafka? `python -m tools.java` says so by its exit code. Standard library only."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = 17
_VERSION = re.compile(r'version "(\d+)(?:\.(\d+))?')


def major(banner: str) -> int | None:
    """The major version in what `java -version` prints; before 9 it was the second number."""
    match = _VERSION.search(banner)
    if match is None:
        return None
    first, second = int(match.group(1)), match.group(2)
    return int(second) if first == 1 and second else first


def find() -> Path | None:
    """The Java of JAVA_HOME, else the one on PATH, if it is new enough."""
    home = os.environ.get("JAVA_HOME")
    candidates = [str(Path(home, "bin", "java"))] if home else []
    candidates += filter(None, [shutil.which("java")])
    for candidate in candidates:
        try:
            ran = subprocess.run([candidate, "-version"], capture_output=True, text=True, check=False, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            continue
        version = major(ran.stderr + ran.stdout)
        if ran.returncode == 0 and version is not None and version >= OLDEST:
            return Path(candidate)
    return None


if __name__ == "__main__":
    sys.exit(0 if find() else 1)
