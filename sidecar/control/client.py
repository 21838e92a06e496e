"""A worker's end of the control socket: takes updates, acknowledges them, connects again for ever.

Traffic never waits for this: without a controller the worker goes on with the routing it has, and
observes what it was told to. What it learns is dropped, and so reported, when nobody takes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from sidecar.config.observation import ObservationPlan
from sidecar.config.update import RoutingUpdate
from sidecar.control.messages import (
    Ack,
    FrameError,
    Frames,
    FromController,
    FromWorker,
    Hello,
    Install,
    Learned,
    Observing,
    frame,
)
from sidecar.errors import ConfigError

FIRST_DELAY_S: Final = 0.05
LONGEST_DELAY_S: Final = 2.0
READ_BYTES: Final = 64 * 1024
# Learned rows that a controller has not taken yet; more are dropped, the next ones do as well.
MOST_UNSENT_BYTES: Final = 1024 * 1024

log: Final = logging.getLogger("sidecar.worker")


class ControlClient:
    """Keeps one worker connected. `rng` (floats in [0, 1)) keeps workers from retrying in step.

    `install` and `observe` take over what the controller says; either may raise ConfigError.
    """

    def __init__(
        self,
        path: Path,
        hello: Hello,
        *,
        install: Callable[[RoutingUpdate], Awaitable[None]],
        observe: Callable[[ObservationPlan], None],
        rng: Callable[[], float],
    ) -> None:
        self._path = path
        self._hello = hello
        self._install = install
        self._observe = observe
        self._rng = rng
        self._writer: asyncio.StreamWriter | None = None

    def report(self, learned: Learned) -> bool:
        """Send rows to the controller; False when it is not there or does not keep up."""
        writer = self._writer
        if writer is None or writer.transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
            return False
        writer.write(frame(learned))
        return True

    async def run(self) -> None:
        """Connect, serve, and connect again; ends only by cancellation."""
        delay_s = FIRST_DELAY_S
        while True:
            try:
                if await self._converse():
                    delay_s = FIRST_DELAY_S
            except (OSError, FrameError) as error:
                log.debug("no controller to talk to", extra={"reason": str(error)})
            await asyncio.sleep(delay_s * (0.5 + self._rng()))
            delay_s = min(delay_s * 2, LONGEST_DELAY_S)

    async def _converse(self) -> bool:
        """One connection, to its end; True when the controller said anything."""
        reader, writer = await asyncio.open_unix_connection(self._path)
        frames = Frames[FromController](FromController)  # type: ignore[arg-type]  # a union is no `type`
        heard = False
        try:
            writer.write(frame(self._hello))
            self._writer = writer
            while data := await reader.read(READ_BYTES):
                for message in frames.feed(data):
                    heard = True
                    writer.write(frame(await self._take(message)))
        finally:
            self._writer = None
            writer.close()
        return heard

    async def _take(self, message: FromController) -> FromWorker:
        if isinstance(message, Install):
            return await self._take_routing(message.update)
        return self._take_plan(message.plan)

    async def _take_routing(self, update: RoutingUpdate) -> Ack:
        try:
            await self._install(update)
        except ConfigError as error:
            log.error(  # noqa: TRY400 - foreseen; the reason says it all
                "refused a routing update and keeps the one it has",
                extra={"version": update.version, "reason": str(error)},
            )
            return Ack(version=update.version, error=str(error))
        except Exception:  # a bug must not take every worker down at the same moment
            log.exception("could not take over a routing update", extra={"version": update.version})
            return Ack(version=update.version, error="an internal error; see the worker's log")
        return Ack(version=update.version)

    def _take_plan(self, plan: ObservationPlan) -> Observing:
        try:
            self._observe(plan)
        except ConfigError as error:
            log.error(  # noqa: TRY400 - foreseen; the reason says it all
                "refused an observation plan and keeps the one it has",
                extra={"version": plan.version, "reason": str(error)},
            )
            return Observing(version=plan.version, error=str(error))
        except Exception:  # as with routing
            log.exception("could not take over a plan", extra={"version": plan.version})
            return Observing(version=plan.version, error="an internal error; see the worker's log")
        return Observing(version=plan.version)
