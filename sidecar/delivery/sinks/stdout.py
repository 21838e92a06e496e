"""Records on the standard output of the process, a line of JSON each.

A reader that is slow fills the pipe; then it is waited for, without a thread that hangs in a write:
a pipe that says it is ready takes PIPE_BUF bytes at once (POSIX, write(2)). An attempt that is
given up half way leaves half a line, whose rest is the first thing the next one writes: so lines
are always whole, though some may come twice.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys
import threading
from collections.abc import Sequence
from typing import Final

from sidecar.config.sinks import StdoutSink as StdoutSettings
from sidecar.delivery.sink import Delivered, Item, Unavailable
from sidecar.delivery.sinks.lines import Thread, lines_of
from sidecar.delivery.sinks.registry import Surroundings

PATIENCE_MS: Final = 100
"""How long one look at the pipe waits: within it, an attempt that was given up ends."""

_NEWLINE: Final = ord("\n")


class StdoutSink:
    """Lines on a descriptor: the standard output, unless another is given."""

    def __init__(
        self,
        settings: StdoutSettings,
        surroundings: Surroundings,  # noqa: ARG002 -- every sink is made of these
        *,
        descriptor: int | None = None,
    ) -> None:
        self._given = descriptor
        self._thread = Thread(f"sink-{settings.name}")
        self._rest = b""

    async def open(self) -> None:
        """Nothing to do: it is there, or it is not."""

    async def deliver(self, batch: Sequence[Item]) -> Delivered:
        """Write the lines. Raises Unavailable (nobody reads any more)."""
        given_up = threading.Event()
        try:
            return await self._thread.call(lambda: self._write_lines(batch, given_up))
        except asyncio.CancelledError:
            given_up.set()
            raise
        except (OSError, ValueError) as error:  # ValueError: `sys.stdout` is closed
            why = getattr(error, "strerror", None) or type(error).__name__
            raise Unavailable(f"the standard output cannot be written: {why}") from None

    async def close(self) -> None:
        """Let go of the thread; the output stays open."""
        self._thread.close()

    def _write_lines(self, batch: Sequence[Item], given_up: threading.Event) -> Delivered:
        lines = lines_of(batch)
        descriptor = sys.stdout.fileno() if self._given is None else self._given
        content = self._rest + lines.content
        view = memoryview(content)
        ready = select.poll()
        ready.register(descriptor, select.POLLOUT)
        at = 0
        while at < len(content) and not given_up.is_set():
            if ready.poll(PATIENCE_MS):
                at += os.write(descriptor, view[at : at + select.PIPE_BUF])
                self._rest = _rest_of_line(content, at)
        return Delivered(refused=lines.refused)


def _rest_of_line(content: bytes, written: int) -> bytes:
    """What is missing of the line that the first `written` bytes end in."""
    if content[written - 1] == _NEWLINE:
        return b""
    return content[written : content.index(b"\n", written) + 1]
