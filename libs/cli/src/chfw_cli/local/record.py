"""What a running stack writes down for the commands of other terminals."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from chfw_cli.local import proc
from chfw_cli.local.state import StateDir, write_text
from chfw_cli.local.supervisor import ProcessStatus
from chfw_common.runtime.kafka.access import KafkaAccess

SERVERS = ("postgres", "kafka")
"""The servers of every stack; its services have an address each."""


class NotUpError(Exception):
    """No stack runs from this state directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRecord:
    """A stack that is up: who supervises it, where everything answers, and which files hold the administrator's
    passwords. It holds none itself."""

    supervisor_pid: int
    supervisor_started: int
    command: tuple[str, ...]
    admin_dsn: str
    bootstrap: str
    kafka_username: str
    kafka_password_file: str
    clock: str
    urls: Mapping[str, str]
    """Where services answer Parties."""
    operator_urls: Mapping[str, str]
    """Where they answer operators."""

    @classmethod
    def of_this_process(
        cls,
        *,
        admin_dsn: str,
        kafka: KafkaAccess,
        clock: str,
        urls: Mapping[str, str],
        operator_urls: Mapping[str, str],
    ) -> Self:
        """The record of a stack that the current process supervises."""
        pid = os.getpid()
        found = proc.stat(pid)
        return cls(
            supervisor_pid=pid,
            supervisor_started=found.started if found else 0,
            command=proc.command_line(pid),
            admin_dsn=admin_dsn,
            bootstrap=kafka.bootstrap,
            kafka_username=kafka.username,
            kafka_password_file=str(kafka.password_file),
            clock=clock,
            urls=urls,
            operator_urls=operator_urls,
        )

    @classmethod
    def read(cls, state: StateDir) -> Self:
        """The record of the stack that runs now. Raises NotUpError when there is none, or its supervisor is gone."""
        try:
            fields = json.loads(state.stack_file.read_text(encoding="utf-8"))
            record = cls(**{**fields, "command": tuple(fields["command"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise NotUpError(f"nothing is up in {state.root}") from error
        if not record.is_alive():
            raise NotUpError(f"nothing is up in {state.root}: the supervisor recorded there is gone")
        return record

    @property
    def kafka(self) -> KafkaAccess:
        """How the administrator reaches Kafka."""
        return KafkaAccess(
            bootstrap=self.bootstrap,
            username=self.kafka_username,
            password_file=Path(self.kafka_password_file),
        )

    @property
    def expected(self) -> tuple[str, ...]:
        """The processes that the stack consists of, those that have not been started yet included."""
        return (*SERVERS, *self.urls)

    def is_alive(self) -> bool:
        """Whether the very process that wrote the record still runs: same number, same start, same command line."""
        found = proc.stat(self.supervisor_pid)
        return (
            found is not None
            and proc.alive(self.supervisor_pid)
            and found.started == self.supervisor_started
            and proc.command_line(self.supervisor_pid) == self.command
        )

    def write(self, state: StateDir) -> None:
        """Put the record where `read` finds it."""
        write_text(state.stack_file, json.dumps(asdict(self), indent=2) + "\n")


def write_processes(state: StateDir, processes: tuple[ProcessStatus, ...]) -> None:
    """Write how each process does."""
    write_text(state.processes_file, json.dumps([asdict(process) for process in processes], indent=2) + "\n")


def read_processes(state: StateDir) -> tuple[ProcessStatus, ...]:
    """What the supervisor last wrote of its processes; nothing when it has not yet."""
    try:
        return tuple(ProcessStatus(**fields) for fields in json.loads(state.processes_file.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return ()


def remove(state: StateDir) -> None:
    """Forget the stack."""
    state.stack_file.unlink(missing_ok=True)
    state.processes_file.unlink(missing_ok=True)
