"""The state directory."""

import os
import socket
from pathlib import Path

import pytest

from chfw_cli.local import ports
from chfw_cli.local.state import StateDir, StateDirError, untraversable


def test_the_environment_chooses_the_directory(tmp_path: Path) -> None:
    assert StateDir.default({"CHFW_STATE": str(tmp_path)}).root == tmp_path


def test_without_a_choice_it_is_the_same_one_every_time_named_by_the_user() -> None:
    root = StateDir.default({}).root
    assert root == StateDir.default({}).root
    assert root.name.startswith(f"chfw-{os.getuid()}-")


@pytest.mark.parametrize("umask", [0o077, 0o000])
@pytest.mark.parametrize(("user", "passable"), [(0, 0o711), (1000, 0o700)])
def test_directories_are_for_their_user_whatever_the_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int, user: int, passable: int
) -> None:
    """Where we are root, Postgres is another user: it may pass to its own directory, and lists none."""
    monkeypatch.setattr(os, "geteuid", lambda: user)
    before = os.umask(umask)
    try:
        state = StateDir(tmp_path / "state").create()
        passed = [state.root, state.passable_directory("postgres")]
        closed = [state.logs, state.pids, state.keys, state.secrets, state.directory("kafka")]
        assert [path.stat().st_mode & 0o777 for path in passed] == [passable] * 2
        assert [path.stat().st_mode & 0o777 for path in closed] == [0o700] * 5
    finally:
        os.umask(before)


def test_data_of_a_server_without_its_password_is_refused(tmp_path: Path) -> None:
    """Data of an older chfw had none; whoever starts it with a new one would wait for ever."""
    state, data = StateDir(tmp_path), tmp_path / "data"
    state.require_secret("one", data)
    data.mkdir()
    with pytest.raises(StateDirError, match=f"{data} was made without passwords"):
        state.require_secret("one", data)
    state.secret("one")
    state.require_secret("one", data)


def test_a_secret_is_made_once_for_this_user_alone(tmp_path: Path) -> None:
    file = StateDir(tmp_path).secret("one")
    made = file.read_text()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert len(made.strip()) >= 43
    assert StateDir(tmp_path).secret("one").read_text() == made
    assert StateDir(tmp_path).secret("two").read_text() != made


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").symlink_to(tmp_path)
    with pytest.raises(StateDirError, match="CHFW_STATE"):
        StateDir(tmp_path / "state").create()


def test_a_port_stays_the_same_and_belongs_to_one_name(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    chosen = {name: state.port(name) for name in ("kafka", "postgres", "smi")}
    assert len(set(chosen.values())) == 3
    assert StateDir(tmp_path).known_ports() == chosen
    assert all(port < 32_768 for port in chosen.values()), "below the ports of outgoing connections"
    state.set_port("kafka", 29_092)
    assert state.port("kafka") == 29_092


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not ports.is_free(listener.getsockname()[1])


def test_every_closed_directory_on_the_way_is_named(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    for closed in (tmp_path / "a", deep):
        closed.chmod(0o700)
    found = untraversable(deep)
    assert (tmp_path / "a").resolve() in found
    assert deep.resolve() in found
    assert (tmp_path / "a" / "b").resolve() not in found
