"""The control plane: every change of routing goes through here, one at a time.

A change is computed as a value (`sidecar.control.state`), then sent to the workers and written to
disk at the same moment, and answered when both are done. A disk that refuses does not stop a
change, least of all a rollback: it holds in every worker, the report says that it is not durable
yet, and the writing is tried again until it succeeds.

Must not know: HTTP, processes, signals.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from sidecar.config.settings import Settings
from sidecar.config.update import RoutingUpdate
from sidecar.control.state import Override, RoutingState, Salts
from sidecar.control.workers import InstallReport, WorkerControl
from sidecar.errors import ConfigError

INSTALL_TIMEOUT_S: Final = 2.0
WRITE_AGAIN_S: Final = 1.0

NEEDS_RESTART: Final = (
    "listen",
    "tls",
    "admin",
    "workers",
    "state_dir",
    "metrics",
    "drain",
    "log",
)
"""What is settled when the processes start; a reload reports a change of these, no more."""

log: Final = logging.getLogger("sidecar.control")


class Store(Protocol):
    """Where states are kept durably; `write` may block and raises OSError."""

    def write(self, state: RoutingState) -> None:
        """Replace what is kept."""


class ChangeReport(Struct, frozen=True, kw_only=True):
    """What a change did. `persisted` is False while it is not on disk (it is tried again).

    `needs_restart` names changed keys that a running sidecar cannot take over; `overrides` are the
    percentages set at run time that outrank the file.
    """

    install: InstallReport
    persisted: bool
    overrides: list[Override]
    needs_restart: list[str] = []


class ControlPlane:
    """Owns the routing state. `load` reads and checks the configuration file (blocking)."""

    def __init__(
        self,
        state: RoutingState,
        *,
        running: Settings,
        store: Store,
        workers: WorkerControl,
        load: Callable[[], Settings],
        salts: Salts,
    ) -> None:
        self.state = state
        self.workers = workers
        self.persisted = True
        self._running = running
        self._store = store
        self._load = load
        self._salts = salts
        self._turn = asyncio.Lock()
        self._write_turn = asyncio.Lock()
        self._unwritten = asyncio.Event()

    @property
    def routing(self) -> RoutingUpdate:
        """What the workers are told now."""
        return self.state.update()

    async def set_weights(self, route: str, weights: Mapping[str, float]) -> ChangeReport:
        """Give canaries of a route these percentages until they are reset. Raises ClientError."""
        async with self._turn:
            return await self._apply(self.state.with_weights(route, weights, self._salts))

    async def reset_weights(self, route: str | None) -> ChangeReport:
        """Let the file rule again over a route (None: all). Raises ClientError."""
        async with self._turn:
            return await self._apply(self.state.reset(route, self._salts))

    async def rollback(self, route: str | None) -> ChangeReport:
        """Take every canary of a route (None: of all) off the traffic. Raises ClientError."""
        async with self._turn:
            report = await self._apply(self.state.rolled_back(route, self._salts))
        log.warning(
            "rolled back",
            extra={
                "route": route or "(all)",
                "version": report.install.version,
                "duration_ms": round(report.install.duration_s * 1000, 3),
            },
        )
        return report

    async def reload(self) -> ChangeReport:
        """Read the configuration file again and route by it.

        Raises ConfigError, and changes nothing, when the file is wrong or a worker cannot take it.
        """
        async with self._turn:
            settings = await asyncio.to_thread(self._load)
            before = self.state
            report = await self._apply(before.with_settings(settings, self._salts))
            if report.install.refused:
                await self._apply(_again(before, version=report.install.version + 1))
                raise ConfigError(
                    "; ".join(f"worker {w}: {why}" for w, why in report.install.refused.items())
                )
        needs_restart = changed_keys(self._running, settings)
        log.info(
            "reloaded the configuration",
            extra={
                "version": report.install.version,
                "overrides": len(report.overrides),
                "needs_restart": ",".join(needs_restart) or "nothing",
            },
        )
        return ChangeReport(
            install=report.install,
            persisted=report.persisted,
            overrides=report.overrides,
            needs_restart=needs_restart,
        )

    async def keep_writing(self) -> None:
        """Try again to persist what a full or read-only disk refused; ends only by cancellation."""
        while True:
            await self._unwritten.wait()
            await asyncio.sleep(WRITE_AGAIN_S)
            if await self._persist():
                log.info(
                    "the routing state is on disk again", extra={"version": self.state.version}
                )

    async def _apply(self, state: RoutingState) -> ChangeReport:
        self.state = state
        install, persisted = await asyncio.gather(
            self.workers.install(state.update(), timeout_s=INSTALL_TIMEOUT_S), self._persist()
        )
        return ChangeReport(install=install, persisted=persisted, overrides=state.overridden())

    async def _persist(self) -> bool:
        """Write the newest state; one writer at a time, so that an older one never comes last."""
        async with self._write_turn:
            try:
                await asyncio.to_thread(self._store.write, self.state)
            except OSError as error:
                self.persisted = False
                self._unwritten.set()
                log.error(  # noqa: TRY400 - foreseen; the reason says it all
                    "the routing holds but is not on disk; a restart would forget it",
                    extra={"version": self.state.version, "reason": str(error)},
                )
            else:
                self.persisted = True
                self._unwritten.clear()
        return self.persisted


def changed_keys(running: Settings, loaded: Settings) -> list[str]:
    """Which of the keys that need a restart differ between two configurations."""
    return [key for key in NEEDS_RESTART if getattr(running, key) != getattr(loaded, key)]


def _again(state: RoutingState, *, version: int) -> RoutingState:
    """The same routing under a newer version: versions only rise, also on the way back."""
    return msgspec.structs.replace(state, version=version)
