"""What a stack writes down for other terminals."""

import dataclasses
import json
from pathlib import Path

import pytest

from chfw_cli.local import record
from chfw_cli.local.record import NotUpError, StackRecord, read_processes, write_processes
from chfw_cli.local.state import StateDir
from chfw_cli.local.supervisor import ProcessStatus
from chfw_common.runtime.kafka.access import KafkaAccess

KAFKA = KafkaAccess(bootstrap="b:1", username="chfw-admin", password_file=Path("password"))


def ours() -> StackRecord:
    return StackRecord.of_this_process(
        admin_dsn="dsn", kafka=KAFKA, clock="real", urls={"smi": "url"}, operator_urls={}
    )


def test_what_was_written_is_read(tmp_path: Path) -> None:
    ours().write(StateDir(tmp_path))
    assert StackRecord.read(StateDir(tmp_path)) == ours()


def test_a_process_that_only_has_the_same_number_is_not_the_supervisor(tmp_path: Path) -> None:
    for wrong in (
        dataclasses.replace(ours(), supervisor_started=1),
        dataclasses.replace(ours(), command=("some", "other", "program")),
        dataclasses.replace(ours(), supervisor_pid=2**30),
    ):
        wrong.write(StateDir(tmp_path))
        with pytest.raises(NotUpError, match="gone"):
            StackRecord.read(StateDir(tmp_path))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"command": []})])
def test_a_damaged_record_means_that_nothing_is_up(tmp_path: Path, text: str) -> None:
    StateDir(tmp_path).stack_file.write_text(text)
    with pytest.raises(NotUpError):
        StackRecord.read(StateDir(tmp_path))


def test_processes_are_read_as_written_and_forgotten_on_removal(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    processes = (ProcessStatus("smi", 1, ready=True, restarts=2, rss_mb=3.0, peak_rss_mb=4.0),)
    write_processes(state, processes)
    assert read_processes(state) == processes
    record.remove(state)
    assert read_processes(state) == ()
