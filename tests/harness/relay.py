"""A TCP relay before a server: connections can be cut, and refused for a while."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Self

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Carry = Callable[[Streams, Streams], Awaitable[None]]


class Relay:
    """Listens on `port` and carries bytes to `target_port` and back, both of loopback.

    `carry` may read what passes; it gets the streams of the client and of the server.
    """

    def __init__(self, target_port: int, port: int, carry: Carry | None = None) -> None:
        self.port = port
        self.connections = 0
        self._target_port = target_port
        self._carry = carry or _bytes_both_ways
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task] = set()

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(self, *_) -> None:
        await self.cut()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def mend(self) -> None:
        """Listen (again)."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def cut(self) -> None:
        """Break off every connection, and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        open_now = list(self._open)
        for task in open_now:
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._relay((reader, writer)))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _relay(self, client: Streams) -> None:
        self.connections += 1
        writers = [client[1]]
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                server = await asyncio.open_connection("127.0.0.1", self._target_port)
                writers.append(server[1])
                await self._carry(client, server)
        finally:
            for writer in writers:
                writer.transport.abort()


async def until_either_ends(*ways: Awaitable[None]) -> None:
    """Both directions of a connection; the end of one ends the other."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _bytes_both_ways(client: Streams, server: Streams) -> None:
    await until_either_ends(_copy(client[0], server[1]), _copy(server[0], client[1]))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
