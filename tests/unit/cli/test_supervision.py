"""The parts of supervision that need no process."""

from pathlib import Path

from chfw_cli.local.output import LineProtocol, LineSink
from chfw_cli.local.supervisor import stop_order


def test_nobody_ends_before_those_that_came_after_it() -> None:
    after = {"db": (), "broker": (), "service": ("db", "broker"), "page": ("service",), "other": ("db",)}
    assert stop_order(after) == [["page"], ["service", "other"], ["db", "broker"]]


def test_a_name_that_is_not_there_any_more_does_not_count() -> None:
    assert stop_order({"service": ("gone",)}) == [["service"]]


def test_pieces_become_lines(tmp_path: Path) -> None:
    seen: list[str] = []
    with LineSink("x", tmp_path / "x.log", lambda _name, line: seen.append(line)) as sink:
        lines = LineProtocol(sink)
        for piece in (b"on", b"e\ntwo\nth", b"ree"):
            lines.data_received(piece)
        assert seen == ["one", "two"]
        lines.connection_lost(None)
        assert seen == ["one", "two", "three"]
        lines.data_received(b"z" * 70_000)
        assert seen[-1] == "z" * 70_000, "a line without end is passed on, not kept for ever"
    assert (tmp_path / "x.log").read_bytes().startswith(b"one\ntwo\nthree\n")
