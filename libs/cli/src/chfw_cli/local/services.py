"""The six services as processes."""

import functools
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chfw_cli.audit import checkpoint_file, key_file
from chfw_cli.local.probes import http_ready
from chfw_cli.local.spec import ProcessSpec
from chfw_cli.local.state import StateDir
from chfw_common.runtime.kafka.access import KafkaAccess, user_of

DATABASE = "chfw"
_OF_THE_COMMAND = frozenset({"CHFW_STATE", "CHFW_JAVA"})
SERVICES = ("notifier", "instruction", "scheduler", "device-sim", "smi", "governance")

ClockName = Literal["real", "paced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every service of a stack is told."""

    state: StateDir
    address: Callable[[str], str]
    """Role -> where Postgres is, without its password."""
    database_password_file: Callable[[str], Path]
    """Role -> the file with its password."""
    kafka: Callable[[str], KafkaAccess]
    """User -> how it reaches Kafka."""
    clock: ClockName = "real"
    extra_env: Mapping[str, str] | None = None


def module_of(service: str) -> str:
    """The Python package of a service, which is also the name of its database role."""
    return f"chfw_{service.replace('-', '_')}"


def service_url(service: str, state: StateDir) -> str:
    """Where the service answers Parties."""
    return f"http://127.0.0.1:{state.port(service)}"


def operator_url(service: str, state: StateDir) -> str:
    """Where the service answers operators."""
    return f"http://127.0.0.1:{operator_port(service, state)}"


def operator_port(service: str, state: StateDir) -> int:
    """The port at which it does, and at which it says whether it is ready."""
    return state.port(f"{service}-operators")


def service_spec(service: str, given: Surroundings, *, after: tuple[str, ...] = ("postgres", "kafka")) -> ProcessSpec:
    """How to run a service; it counts as ready when its `/readyz` answers operators 200."""
    for_operators, module = operator_port(service, given.state), module_of(service)
    kafka = given.kafka(user_of(service))
    return ProcessSpec(
        name=service,
        argv=(sys.executable, "-m", module),
        env={
            **settings_here(),
            "CHFW_DATABASE_DSN": given.address(module),
            "CHFW_DATABASE_PASSWORD_FILE": str(given.database_password_file(module)),
            "CHFW_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "CHFW_KAFKA_USERNAME": kafka.username,
            "CHFW_KAFKA_PASSWORD_FILE": str(kafka.password_file),
            "CHFW_HTTP_PORT": str(given.state.port(service)),
            "CHFW_OPERATOR_PORT": str(for_operators),
            "CHFW_JWKS_FILE": str(given.state.keys / "jwks.json"),
            "CHFW_AUDIT_KEY_FILE": str(key_file(given.state)),
            "CHFW_AUDIT_CHECKPOINT_FILE": str(checkpoint_file(given.state, service)),
            "CHFW_CLOCK": given.clock,
            "PYTHONUNBUFFERED": "1",
            **(given.extra_env or {}),
        },
        ready=functools.partial(http_ready, for_operators),
        after=after,
    )


def settings_here() -> dict[str, str]:
    """The settings of services in this process's environment. They name files of secrets, and hold none."""
    return {
        name: value for name, value in os.environ.items() if name.startswith("CHFW_") and name not in _OF_THE_COMMAND
    }
