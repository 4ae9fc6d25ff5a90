"""A client as an attacker writes one: bytes to a port, and no more manners than a test wants."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass

PIECE = 1 << 14


@dataclass
class Raw:
    """One connection to loopback."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, text: str | bytes) -> None:
        """Write without waiting."""
        self.writer.write(text if isinstance(text, bytes) else text.encode())

    async def flood(self, piece: bytes, most: int) -> int:
        """Write the same again and again, until so many bytes were taken or the server has ended it; says how many."""
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < most and not self.reader.at_eof():
                self.send(piece)
                await self.writer.drain()
                sent += len(piece)
        return sent

    async def drip(self, piece: bytes, seconds: float) -> None:
        """Write the same every so many seconds, until the server has ended it."""
        with contextlib.suppress(ConnectionError):
            while True:
                self.send(piece)
                await self.writer.drain()
                await asyncio.sleep(seconds)

    async def answer(self) -> str:
        """All that comes until the server closes. What is left of a connection that was reset."""
        found = b""
        with contextlib.suppress(ConnectionError):
            while piece := await self.reader.read(PIECE):
                found += piece
        return found.decode()

    async def head(self) -> str:
        """The head of the next answer."""
        return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    def reset(self) -> None:
        """Be gone without a word, as a process that was killed with something unread."""
        found = self.writer.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def raw(port: int | None, *, window: int | None = None) -> AsyncIterator[Raw]:
    """Connect; `window` is how many bytes the kernel takes for a client that does not read."""
    made = socket.socket()
    if window is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    made.setblocking(False)
    await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port or 0))
    reader, writer = await asyncio.open_connection(sock=made, limit=PIECE)
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()
