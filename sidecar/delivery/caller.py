"""Calls a sink: opened first, within a deadline, and with an outcome instead of an exception.

A sink that does not answer within the deadline is cancelled, and was not available. When the pump
itself is ended, the call under way may still finish, for a while: what a sink has already taken
should not be brought to it again after a restart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sidecar.delivery.sink import Delivered, Flushing, Item, Refused, Sink, Unavailable

log: Final = logging.getLogger("sidecar.delivery")

_AGAIN_S: Final = 1.0
"""After this a sink that took no notice of being cancelled is cancelled again."""

CallOutcome = Delivered | Refused | Unavailable


class Caller:
    """One sink, and whether it is open. One call at a time."""

    def __init__(self, name: str, sink: Sink, *, timeout_s: float, grace_s: float) -> None:
        self._name = name
        self._sink = sink
        self._timeout_s = timeout_s
        self._grace_s = grace_s
        self._open = False

    async def deliver(
        self,
        batch: Sequence[Item],
        tasks: asyncio.TaskGroup,
        conclude: Callable[[CallOutcome], None],
    ) -> None:
        """Bring a batch; `conclude` gets the outcome, also when this is cancelled meanwhile."""
        task = tasks.create_task(self._bring(batch), name=f"deliver to {self._name}")
        try:
            await asyncio.wait({task}, timeout=self._timeout_s)
        except asyncio.CancelledError:
            await asyncio.wait({task}, timeout=self._grace_s)
            if task.done():
                conclude(task.result())
            raise
        if task.done():
            conclude(task.result())
            return
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_AGAIN_S)
        in_vain = Unavailable(f"no answer within {self._timeout_s:g} s")
        conclude(in_vain if task.cancelled() else task.result())

    async def flush(self) -> None:
        """Make durable what was confirmed. Raises OSError: some of that may be lost."""
        if self._open and isinstance(self._sink, Flushing):
            reason = await self._within(self._timeout_s, self._sink.flush)
            if reason:
                raise OSError(reason)

    async def close(self) -> None:
        """Let go of the sink."""
        self._open = False
        reason = await self._within(self._grace_s, self._sink.close)
        if reason:
            log.warning("a sink did not close", extra={"sink": self._name, "reason": reason})

    async def _bring(self, batch: Sequence[Item]) -> CallOutcome:
        try:
            if not self._open:
                await self._sink.open()
                self._open = True
            delivered = await self._sink.deliver(batch)
            _check(delivered.refused, len(batch))
        except (Refused, Unavailable) as outcome:
            return outcome
        except Exception:
            log.exception("a sink failed", extra={"sink": self._name})
            return Unavailable("internal error, see the log")
        return delivered

    async def _within(self, limit_s: float, call: Callable[[], Awaitable[None]]) -> str:
        """Why a call failed; empty when it did not."""
        try:
            async with asyncio.timeout(limit_s):
                await call()
        except TimeoutError:
            return f"it took more than {limit_s:g} s"
        except Unavailable as outcome:
            return outcome.reason
        except Exception:
            log.exception("a sink failed", extra={"sink": self._name})
            return "internal error, see the log"
        return ""


def _check(refused: Sequence[tuple[int, str]], size: int) -> None:
    for place, _ in refused:
        if not 0 <= place < size:
            raise IndexError(f"refused record {place} of a batch of {size}")
