"""`chfw status`: every process of the stack is expected, and an address is never cut."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from chfw_cli.local.record import StackRecord, write_processes
from chfw_cli.local.services import SERVICES
from chfw_cli.local.state import StateDir
from chfw_cli.local.supervisor import ProcessStatus
from chfw_cli.main import app
from chfw_common.runtime.kafka.access import KafkaAccess

DSN = "postgresql://postgres@127.0.0.1:54321/" + "a_database_with_a_long_name" * 5
URLS = {name: f"http://127.0.0.1:{50_000 + number}" for number, name in enumerate(SERVICES)}
OPERATOR_URLS = {name: f"http://127.0.0.1:{51_000 + number}" for number, name in enumerate(SERVICES)}
KAFKA = KafkaAccess(bootstrap="127.0.0.1:9092", username="chfw-admin", password_file=Path("password"))
ALL = ("postgres", "kafka", *SERVICES)


def running(state: StateDir, names: Iterable[str], pid: int, *, ready: bool = True) -> None:
    """A stack that this process supervises, of which these processes are listed."""
    record = StackRecord.of_this_process(
        admin_dsn=DSN, kafka=KAFKA, clock="real", urls=URLS, operator_urls=OPERATOR_URLS
    )
    record.write(state)
    write_processes(
        state, tuple(ProcessStatus(name, pid, ready=ready, restarts=0, rss_mb=1.0, peak_rss_mb=2.0) for name in names)
    )


def status(state: StateDir, *options: str, columns: int = 80) -> Result:
    return CliRunner().invoke(app, ["status", "--state", str(state.root), *options], env={"COLUMNS": str(columns)})


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path)


@pytest.fixture
def own_pid() -> int:
    """A process that is up."""
    return os.getpid()


@pytest.mark.parametrize("columns", [20, 80, 200, 400])
def test_no_address_is_cut_however_narrow_the_output_is(state: StateDir, own_pid: int, columns: int) -> None:
    running(state, ALL, own_pid)
    shown = status(state, columns=columns)
    assert shown.exit_code == 0, shown.output
    for text in (DSN, *URLS.values(), *OPERATOR_URLS.values(), *ALL):
        assert any(text in line for line in shown.output.splitlines()), text


@pytest.mark.parametrize("listed", [(), ("postgres",), ("postgres", "kafka"), ALL[:-1], ALL[1:]])
def test_a_process_that_is_not_listed_is_missed(state: StateDir, own_pid: int, listed: tuple[str, ...]) -> None:
    running(state, listed, own_pid)
    missing = [name for name in ALL if name not in listed]
    shown = status(state)
    assert shown.exit_code == 1
    rows = {name: line for line in shown.output.splitlines() for name in ALL if f" {name} " in line}
    assert all("no" in rows[name].split() for name in missing)
    told = status(state, "--json")
    assert (told.exit_code, json.loads(told.output)["missing"]) == (1, missing)


def test_a_process_that_is_not_ready_or_not_up_counts(state: StateDir, own_pid: int) -> None:
    running(state, ALL, own_pid, ready=False)
    assert status(state).exit_code == 1
    running(state, ALL, 2**30)
    assert status(state).exit_code == 1
    running(state, ALL, own_pid)
    assert status(state).exit_code == 0


def test_servers_alone_are_a_whole_stack_when_no_service_is_meant_to_run(state: StateDir, own_pid: int) -> None:
    running(state, ("postgres", "kafka"), own_pid)
    record = StackRecord.of_this_process(admin_dsn=DSN, kafka=KAFKA, clock="real", urls={}, operator_urls={})
    record.write(state)
    assert status(state).exit_code == 0
