"""Is it ready? One look each, that answers within about a second."""

import asyncio
import json

import asyncpg
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from chfw_common.runtime.kafka.access import KafkaAccess

_LIMIT = 2.0


async def kafka_ready(port: int, access: KafkaAccess) -> bool:
    """Whether a broker on this port answers that user for itself in its metadata."""
    if not await _listens(port):
        return False
    client = AIOKafkaClient(**access.client(), request_timeout_ms=int(_LIMIT * 1000))
    try:
        async with asyncio.timeout(_LIMIT):
            await client.bootstrap()
            return bool(client.cluster.brokers())
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await client.close()


async def postgres_ready(port: int, dsn: str) -> bool:
    """Whether a server on this port answers a query of the user of that address."""
    if not await _listens(port):
        return False
    try:
        async with asyncio.timeout(_LIMIT):
            connection = await asyncpg.connect(dsn)
            try:
                return bool(await connection.fetchval("select true"))
            finally:
                await connection.close()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        return False


async def http_ready(port: int, path: str = "/readyz") -> bool:
    """Whether a GET of the path answers 200."""
    try:
        status, _ = await _get(port, path)
    except (OSError, ValueError, TimeoutError):
        return False
    return b" 200 " in status


async def why_not_ready(port: int) -> str:
    """The reason that a service gives at `/readyz` for not being ready; empty when it is, or does not answer."""
    try:
        status, body = await _get(port, "/readyz")
        return "" if b" 200 " in status else str(json.loads(body).get("detail", ""))
    except (OSError, ValueError, TimeoutError, AttributeError):
        return ""


async def _get(port: int, path: str) -> tuple[bytes, bytes]:
    """The status line and the body."""
    async with asyncio.timeout(_LIMIT):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            return head.partition(b"\r\n")[0], body
        finally:
            writer.close()
            await writer.wait_closed()


async def _listens(port: int) -> bool:
    try:
        async with asyncio.timeout(_LIMIT):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return True
