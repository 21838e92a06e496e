"""The control plane: every change of routing goes through here.

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
from operator import attrgetter
from typing import Final, Protocol

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
    "monitor.enabled",
    "monitor.memory",
    "journal",
    "redact",
    "dead_letters",
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
    """Owns the routing state. `load` reads and checks the configuration file (blocking).

    `reloaded` is told of a configuration file that was taken over.
    """

    def __init__(
        self,
        state: RoutingState,
        *,
        running: Settings,
        store: Store,
        workers: WorkerControl,
        load: Callable[[], Settings],
        salts: Salts,
        reloaded: Callable[[Settings], None] = lambda _settings: None,
    ) -> None:
        self.state = state
        self.workers = workers
        self._running = running
        self._store = store
        self._load = load
        self._salts = salts
        self._reloaded = reloaded
        self._written_version = 0
        self._write_turn = asyncio.Lock()
        self._disk_refuses = False
        self._unwritten = asyncio.Event()
        self._unwritten.set()  # perhaps it is on disk already; writing it again does no harm

    @property
    def persisted(self) -> bool:
        """Whether the routing would survive a restart."""
        return self._written_version == self.state.version

    @property
    def routing(self) -> RoutingUpdate:
        """What the workers are told now."""
        return self.state.update()

    async def set_weights(self, route: str, weights: Mapping[str, float]) -> ChangeReport:
        """Give canaries of a route these percentages until they are reset. Raises ClientError."""
        return await self._apply(self.state.with_weights(route, weights, self._salts))

    async def reset_weights(self, route: str | None) -> ChangeReport:
        """Let the file rule again over a route (None: all). Raises ClientError."""
        return await self._apply(self.state.reset(route, self._salts))

    async def rollback(self, route: str | None) -> ChangeReport:
        """Take every canary of a route (None: of all) off the traffic. Raises ClientError."""
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
        settings = await asyncio.to_thread(self._load)
        before = self.state
        report = await self._apply(before.with_settings(settings, self._salts))
        if report.install.refused:
            await self._apply(self.state.reverted(before, self._salts))
            raise ConfigError(
                "; ".join(f"worker {w}: {why}" for w, why in report.install.refused.items())
            )
        self._reloaded(settings)
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
        """Persist what is not yet, again and again while the disk refuses; until cancelled."""
        while True:
            await self._unwritten.wait()
            if not await self._persist(self.state.version):
                await asyncio.sleep(WRITE_AGAIN_S)

    async def _apply(self, state: RoutingState) -> ChangeReport:
        # Up to the first await nothing else runs: states follow each other, and are sent, in order.
        # From there on a change waits for its own confirmation only, so that a rollback is never
        # held up by another change that some worker does not confirm.
        self.state = state
        installation = self.workers.announce(state.update())
        install, persisted = await asyncio.gather(
            self.workers.confirmed(installation, timeout_s=INSTALL_TIMEOUT_S),
            self._persist(state.version),
        )
        return ChangeReport(install=install, persisted=persisted, overrides=state.overridden())

    async def _persist(self, version: int) -> bool:
        """Have this version, or a newer one, on disk. One writer at a time writes the newest."""
        async with self._write_turn:
            if self._written_version >= version:
                return True
            newest = self.state
            try:
                await asyncio.to_thread(self._store.write, newest)
            except OSError as error:
                self._unwritten.set()
                if not self._disk_refuses:
                    log.error(  # noqa: TRY400 - foreseen; the reason says it all
                        "the routing holds but cannot be written; a restart would forget it",
                        extra={"version": newest.version, "reason": str(error)},
                    )
                self._disk_refuses = True
                return False
            if self._disk_refuses:
                log.info("the routing is on disk again", extra={"version": newest.version})
            self._disk_refuses = False
            self._written_version = newest.version
            if self.persisted:
                self._unwritten.clear()
            return True


def changed_keys(running: Settings, loaded: Settings) -> list[str]:
    """Which of the keys that need a restart differ between two configurations."""
    return [key for key in NEEDS_RESTART if attrgetter(key)(running) != attrgetter(key)(loaded)]
