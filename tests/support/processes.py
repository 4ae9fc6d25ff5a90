"""One service as a process, and what it writes."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from chfw_cli.local import ports
from chfw_cli.local.child import inherited
from chfw_cli.local.services import module_of
from chfw_cli.tokens import Issuer
from chfw_common.runtime.kafka.access import user_of
from tests.support.databases import as_role
from tests.support.servers import RunningKafka, RunningPostgres
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
START = 60.0
"""Seconds a service may need on a busy machine."""


@dataclass
class Running:
    """A process of a service."""

    process: asyncio.subprocess.Process
    port: int
    operator_port: int
    written: list[str] = field(default_factory=list)

    @property
    def said(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        return [json.loads(line) for line in self.written if line.startswith("{")]

    async def says(self, action: str) -> dict[str, Any]:
        """The first line of that action; waits for it. Fails when the process ends without."""

        async def there() -> bool:
            return self.process.returncode is not None or any(line.get("action") == action for line in self.said)

        await eventually(there, START)
        found = [line for line in self.said if line.get("action") == action]
        assert found, "".join(self.written)
        return found[0]

    async def ready(self) -> None:
        """Wait until it says that it can work."""
        async with httpx2.AsyncClient() as client:

            async def there() -> bool:
                assert self.process.returncode is None, "".join(self.written)
                with contextlib.suppress(httpx2.TransportError):
                    return (await client.get(f"http://127.0.0.1:{self.operator_port}/readyz")).status_code == 200
                return False

            await eventually(there, START)

    async def not_ready(self) -> str:
        """Why it cannot work, in its own words; waits until it answers."""
        async with httpx2.AsyncClient() as client:
            answers: list[httpx2.Response] = []

            async def there() -> bool:
                with contextlib.suppress(httpx2.TransportError):
                    answers.append(await client.get(f"http://127.0.0.1:{self.operator_port}/readyz"))
                return bool(answers)

            await eventually(there, START)
        assert answers[0].status_code == 503, answers[0].text
        return str(answers[0].json()["detail"])

    async def stop(self) -> None:
        """Kill it; what it has written stays."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    async def ends(self) -> int:
        """Its exit code, once it has ended by itself and all it wrote is here."""
        async with asyncio.timeout(START):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def process_of(
    service: str,
    *,
    dsn: str,
    postgres: RunningPostgres,
    kafka: RunningKafka,
    keys: Path,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Running]:
    """Start a service on a database, as its own role and user; at the end it is gone."""
    Issuer.open(keys)
    port = ports.choose()
    operator_port = ports.choose(taken=(port,))
    sources = [str(path) for path in sorted(ROOT.glob("*/*/src"))]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module_of(service)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={
            **inherited(),
            "PYTHONPATH": os.pathsep.join(sources),
            "CHFW_DATABASE_DSN": as_role(dsn, module_of(service)),
            "CHFW_DATABASE_PASSWORD_FILE": str(postgres.server.password_file(module_of(service))),
            "CHFW_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "CHFW_KAFKA_USERNAME": user_of(service),
            "CHFW_KAFKA_PASSWORD_FILE": str(kafka.server.password_file(user_of(service))),
            "CHFW_JWKS_FILE": str(keys / "jwks.json"),
            "CHFW_HTTP_PORT": str(port),
            "CHFW_OPERATOR_PORT": str(operator_port),
            **(env or {}),
        },
        cwd=keys,
    )
    running = Running(process, port, operator_port)
    reader = asyncio.create_task(_read(running))
    try:
        yield running
    finally:
        await running.stop()
        await reader


async def _read(running: Running) -> None:
    assert running.process.stderr is not None
    async for line in running.process.stderr:
        running.written.append(line.decode(errors="replace"))
