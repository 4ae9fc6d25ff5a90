"""The six services as processes."""

import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from chfw_cli.local.probes import http_ready
from chfw_cli.local.spec import ProcessSpec
from chfw_cli.local.state import StateDir

DATABASE = "chfw"
SERVICES = ("notifier", "instruction", "scheduler", "device-sim", "smi", "governance")

ClockName = Literal["real", "paced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every service of a stack is told."""

    state: StateDir
    postgres_port: int
    bootstrap: str
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
    for_operators = operator_port(service, given.state)
    module = module_of(service)
    return ProcessSpec(
        name=service,
        argv=(sys.executable, "-m", module),
        env={
            "CHFW_DATABASE_DSN": f"postgresql://{module}@127.0.0.1:{given.postgres_port}/{DATABASE}",
            "CHFW_KAFKA_BOOTSTRAP": given.bootstrap,
            "CHFW_HTTP_PORT": str(given.state.port(service)),
            "CHFW_OPERATOR_PORT": str(for_operators),
            "CHFW_JWKS_FILE": str(given.state.keys / "jwks.json"),
            "CHFW_CLOCK": given.clock,
            "PYTHONUNBUFFERED": "1",
            **(given.extra_env or {}),
        },
        ready=functools.partial(http_ready, for_operators),
        after=after,
    )
