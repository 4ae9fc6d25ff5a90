"""What `doctor` says."""

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chfw_cli.local import checks, kafka_jars
from chfw_cli.local.checks import Finding
from chfw_cli.local.state import StateDir
from chfw_cli.main import app


def examined(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> tuple[int, str]:
    monkeypatch.setattr("chfw_cli.commands.doctor.examine", lambda _state: findings)
    result = CliRunner().invoke(app, ["doctor"])
    return result.exit_code, result.output


def test_all_good_is_exit_code_0(monkeypatch: pytest.MonkeyPatch) -> None:
    assert examined(monkeypatch, Finding("java", "17")) == (0, "OK  java       17\n")


def test_anything_bad_is_exit_code_1_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = examined(monkeypatch, Finding("java", "none", "install a JRE"), Finding("disk", "9 MB free"))
    assert code == 1
    assert text == "BAD java       none\n    -> install a JRE\nOK  disk       9 MB free\n"


def test_a_kept_port_that_is_taken_is_bad(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        state.set_port("kafka", listener.getsockname()[1])
        assert not checks.check_ports(state).good
    assert checks.check_ports(state).good


def test_a_state_directory_that_cannot_be_made_is_bad(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "CHFW_STATE" in checks.check_state(StateDir(tmp_path / "file" / "state")).cure


def test_changed_jars_are_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert checks.check_jars().good, "not fetched yet"
    kafka_jars.jar_directory().mkdir(parents=True)
    assert "missing kafka-clients" in checks.check_jars().cure


def test_down_and_status_when_nothing_is_up(tmp_path: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["status", "--state", str(tmp_path)]).exit_code == 1
    down = runner.invoke(app, ["down", "--state", str(tmp_path)])
    assert (down.exit_code, down.output) == (0, f"nothing is up in {tmp_path}\n")
