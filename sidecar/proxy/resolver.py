"""Name resolution that follows changes and never blocks the loop.

getaddrinfo runs on libuv's thread pool and tells no time to live, so an answer is used for
`FRESH_S` and then asked again; while the resolver is slow or out of order the last good answer
stands. A lookup cannot be cancelled and holds a thread of that pool, so there is never more than
one per name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Final

FRESH_S: Final = 5.0
PATIENCE_S: Final = 0.1  # how long a new connection waits for news of a name that is known already

Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]

Address = tuple[str, int]


class Resolver:
    """The addresses of one host and port."""

    def __init__(self, host: str, port: int, *, spawn: Spawn) -> None:
        self._host = host
        self._port = port
        self._spawn = spawn
        self._known: tuple[Address, ...] = ()
        self._asked_at = float("-inf")
        self._turn = 0
        self._asking: asyncio.Task[None] | None = None
        self._failure = OSError("its name has no address")  # why the last lookup told nothing
        self._literal = _is_address(host)
        if self._literal:
            self._known = ((host, port),)

    @property
    def known(self) -> tuple[Address, ...]:
        """The last good answer."""
        return self._known

    async def addresses(self, now: float) -> tuple[Address, ...]:
        """All addresses, each time beginning with another one; OSError when none is known."""
        if not self._known or self.stale(now):
            lookup = self.refresh(now)
            await asyncio.wait((lookup,), timeout=PATIENCE_S if self._known else None)
            if not self._known:
                raise self._failure
        self._turn += 1
        known = self._known
        first = self._turn % len(known)
        return known[first:] + known[:first]

    def stale(self, now: float) -> bool:
        """Whether the name should be asked for again."""
        return not self._literal and now - self._asked_at > FRESH_S

    def refresh(self, now: float) -> asyncio.Task[None]:
        """Ask again, unless a question is open; the task ends with the answer and never fails."""
        if self._asking is None or self._asking.done():
            self._asked_at = now
            self._asking = self._spawn(self._ask(), f"resolve {self._host}")
        return self._asking

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # UnicodeError: no host has such a name
            self._failure = error if isinstance(error, OSError) else OSError(str(error))
            return
        found = tuple(dict.fromkeys((str(one[4][0]), self._port) for one in answers))
        if found:
            self._known = found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
