"""Looks at the running sidecar again and again, and paints what it says.

All figures come over HTTP from the admin address, as anybody would get them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict

import aiohttp
from rich.console import Console
from rich.live import Live

from sidecar.demo import screen
from sidecar.demo.readings import Readings, read, read_percents
from sidecar.demo.screen import View
from sidecar.demo.traffic import Traffic
from sidecar.demo.verdicts import Alert, Memory, Watched, read_alerts, read_drift
from sidecar.demo.world import Addresses

_LOOK_EVERY_S = 0.5
_LINES_EVERY_S = 5.0
_RATE_OVER_S = 5.0
_SETTLE_S = 3.0
"""After the last answer: the workers' last counts and the mirrors still under way come in."""


class Viewer:
    """One look every half second; frames, or lines now and then; a summary at the end."""

    def __init__(self, addresses: Addresses, traffic: Traffic, console: Console) -> None:
        self._addresses = addresses
        self._traffic = traffic
        self._console = console
        self._clock = asyncio.get_running_loop().time
        self._start_s = self._clock()
        self._elapsed_s = 0.0
        self._readings = Readings(mirrors={})
        self._percents: Mapping[str, float] = {}
        self._drift: tuple[Watched, ...] = ()
        self._alerts: tuple[Alert, ...] = ()
        self._memory = Memory()
        self._ending = False
        self._complete = asyncio.Event()
        self._recent: deque[tuple[float, int]] = deque(maxlen=round(_RATE_OVER_S / _LOOK_EVERY_S))

    async def run(self) -> None:
        """Look and paint until cancelled."""
        async with aiohttp.ClientSession() as session:
            if self._console.is_terminal:
                with Live(console=self._console, auto_refresh=False, transient=False) as live:
                    while True:
                        await self._look(session)
                        frame = screen.frame(self._view(), height=self._console.height)
                        live.update(frame, refresh=True)
                        await asyncio.sleep(_LOOK_EVERY_S)
            next_lines_s = self._start_s + _LINES_EVERY_S
            while True:
                for alert in await self._look(session):
                    self._print(f"{screen.INDENT}alert: {alert.severity}: {alert.summary}")
                if self._clock() >= next_lines_s:
                    next_lines_s += _LINES_EVERY_S
                    self._print(screen.lines(self._view()))
                await asyncio.sleep(_LOOK_EVERY_S)

    async def settle(self) -> None:
        """Wait, not for long, until the sidecar has counted every answer the clients got."""
        self._elapsed_s = self._clock() - self._start_s
        self._ending = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._complete.wait(), _SETTLE_S)

    def summary(self) -> dict[str, object]:
        """Return the figures of the whole run as JSON values."""
        seen = self._traffic.seen
        return {
            "seconds": round(self._elapsed_s, 3),
            "requests": self._readings.requests,
            "models": {
                reading.model: screen.summary_of(reading, self._readings, self._percents)
                for reading in self._readings.models
            },
            "mirrors": self._readings.mirrors,
            "agreement": {
                model: {**asdict(agreement), "percent": agreement.percent}
                for model, agreement in self._readings.agreement.items()
            },
            "drift": {
                watched.model: screen.drift_of(watched, self._memory.worst(watched.model))
                for watched in self._drift
            },
            "alerts": screen.alerts_of(self._memory.raised),
            "clients": {
                "requests": seen.requests,
                "answered": dict(seen.answered),
                "failed": dict(seen.failed),
            },
        }

    def _is_complete(self) -> bool:
        mirrored = sum(sum(outcomes.values()) for outcomes in self._readings.mirrors.values())
        return min(self._readings.requests, mirrored) >= self._traffic.seen.answered.total()

    async def _look(self, session: aiohttp.ClientSession) -> list[Alert]:
        """Look once; returns the alerts that are new."""
        new: list[Alert] = []
        # The launcher restarts a controller that dies: the last figures stand meanwhile.
        with contextlib.suppress(aiohttp.ClientError):
            self._readings = read((await self._get(session, "/metrics")).decode())
            self._percents = read_percents(await self._get(session, "/api/v1/weights"))
            self._drift = read_drift(await self._get(session, "/api/v1/drift"))
            self._alerts = read_alerts(await self._get(session, "/api/v1/alerts"))
            elapsed_s = self._clock() - self._start_s
            self._memory.verdicts(self._drift, elapsed_s)
            new = self._memory.alerts(self._alerts, elapsed_s)
        self._recent.append((self._clock(), self._readings.requests))
        if self._ending and self._is_complete():
            self._complete.set()
        return new

    async def _get(self, session: aiohttp.ClientSession, path: str) -> bytes:
        url = f"{self._addresses.admin}{path}"
        async with session.get(url, raise_for_status=True) as response:
            return await response.read()

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)

    def _view(self) -> View:
        (then_s, before), (now_s, now) = self._recent[0], self._recent[-1]
        return View(
            addresses=self._addresses,
            elapsed_s=self._elapsed_s or now_s - self._start_s,
            requests_per_s=(now - before) / (now_s - then_s) if now_s > then_s else 0.0,
            client_failures=self._traffic.seen.failed.total(),
            readings=self._readings,
            percents=self._percents,
            place=self._traffic.place,
            drift=self._drift,
            alerts=self._alerts,
        )
