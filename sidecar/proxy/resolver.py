"""Name resolution that follows changes and never blocks the loop.

getaddrinfo runs on libuv's thread pool and tells no time to live, so an answer is used for `FRESH_S`
and then asked again; while the resolver is out of order the last good answer stands.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Final

FRESH_S: Final = 5.0
LOOKUP_TIMEOUT_S: Final = 5.0

Address = tuple[str, int]


class Resolver:
    """The addresses of one host and port."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._known: tuple[Address, ...] = ()
        self._asked_at = float("-inf")
        self._turn = 0
        self._asking: asyncio.Task[None] | None = None
        self._literal = _is_address(host)
        if self._literal:
            self._known = ((host, port),)

    async def addresses(self, now: float) -> tuple[Address, ...]:
        """All addresses, beginning with another one each time. Raises OSError when none is known."""
        if not self._literal and (not self._known or self.stale(now)):
            try:
                await self.refresh(now)
            except OSError:
                if not self._known:
                    raise
        self._turn += 1
        known = self._known
        first = self._turn % len(known) if known else 0
        return known[first:] + known[:first]

    def stale(self, now: float) -> bool:
        """Whether the name should be asked for again."""
        return not self._literal and now - self._asked_at > FRESH_S

    async def refresh(self, now: float) -> frozenset[Address]:
        """Ask again; return the addresses that are gone. Raises OSError."""
        self._asked_at = now
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(LOOKUP_TIMEOUT_S):
            answers = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        found = tuple(dict.fromkeys((str(one[4][0]), self._port) for one in answers))
        if not found:
            raise OSError("its name has no address")
        gone = frozenset(self._known) - frozenset(found)
        self._known = found
        return gone


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
