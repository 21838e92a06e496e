"""All connections of one worker to one model: who gets one, who waits, who is told no.

A call takes an idle connection of the least loaded endpoint, or waits while one is made; whichever
is ready first, a released or a new connection, serves the call that has waited longest. Connections
and waiters are bounded; a full pool and an open breaker say no at once. Every refusal here is
`unsent`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from sidecar.board import ModelGauge, Recorder
from sidecar.config.settings import ModelSettings
from sidecar.errors import UpstreamError
from sidecar.proxy.breaker import Breaker
from sidecar.proxy.endpoint import Endpoint
from sidecar.proxy.head import ResponseParser
from sidecar.proxy.upstream import Call, UpstreamConnection

Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


class Pool:
    """One model's endpoints. `row` is its row of gauges on the board, -1 for none."""

    def __init__(
        self,
        name: str,
        settings: ModelSettings,
        *,
        recorder: Recorder,
        row: int,
        spawn: Spawn,
        now: Callable[[], float],
        tls: ssl.SSLContext | None,
    ) -> None:
        self.name = name
        self.model_line = b"X-Sidecar-Model: %b\r\n" % name.encode()
        self.settings = settings
        self.row = row
        self.now = now
        self.breaker = Breaker(
            threshold=settings.breaker.failures, open_for_s=settings.breaker.open_for
        )
        self.spawn = spawn
        self._recorder = recorder
        # With the deadline of the wait, and whether only a new connection will do.
        self._waiting: deque[tuple[Call, float, bool]] = deque()
        self._limit = settings.pool.connections
        self._closed = False
        self._in_use_again: Callable[[Pool], None] | None = None
        self.on_tick: Callable[[], None] | None = None
        responses = ResponseParser()
        self.endpoints = tuple(
            Endpoint(url, settings, pool=self, responses=responses, now=now, tls=tls)
            for url in settings.endpoints
        )
        self._only = self.endpoints[0] if len(self.endpoints) == 1 else None
        self.authority = self.endpoints[0].authority

    # -- getting a connection --------------------------------------------------------------------

    def acquire(self, call: Call, *, fresh: bool = False) -> None:
        """Give the call a connection, now or later, by its `connected`; or refuse by its `failed`.

        `fresh` passes over used connections: the call has just met one that was closing.
        """
        if self.breaker.state and not self.breaker.allows(self.now()):
            call.failed(
                UpstreamError(
                    "the model has failed repeatedly and is left alone for a moment",
                    code="breaker_open",
                    status=503,
                    unsent=True,
                )
            )
            return
        endpoint = self._only or self._least_loaded()
        if not fresh:
            connection = endpoint.take_idle()
            if connection is not None:
                call.connected(connection)
                return
        elif endpoint.idle and len(endpoint.open) >= self._limit:
            endpoint.idle[0].abort()  # its place is needed
        if len(endpoint.open) + endpoint.connecting < self._limit:
            self._grow(endpoint)
        elif len(self._waiting) - self._connecting >= self.settings.pool.waiters:
            call.failed(
                UpstreamError(
                    "too many requests wait for this model",
                    code="pool_full",
                    status=503,
                    unsent=True,
                )
            )
            return
        self._waiting.append((call, self.now() + self.settings.pool.wait_timeout, fresh))

    def withdraw(self, call: Call) -> None:
        """The call no longer wants a connection."""
        for waiter in self._waiting:
            if waiter[0] is call:
                self._waiting.remove(waiter)
                return

    def _least_loaded(self) -> Endpoint:
        now = self.now()
        return min(self.endpoints, key=lambda one: (one.down_until > now, one.in_use))

    @property
    def _connecting(self) -> int:
        return sum(one.connecting for one in self.endpoints)

    def _grow(self, endpoint: Endpoint) -> None:
        # Counted here, not when the task first runs: the limit holds within one iteration too.
        endpoint.connecting += 1
        if self._in_use_again is not None:
            self._in_use_again(self)
        self.spawn(self._connect(endpoint), f"connect {self.name}")

    async def _connect(self, endpoint: Endpoint) -> None:
        self.gauge(ModelGauge.CONNECTS)
        try:
            connection = await endpoint.connect()
        except UpstreamError as error:
            self.gauge(ModelGauge.CONNECT_FAILURES)
            self.failed()
            if self._waiting:
                self._waiting.popleft()[0].failed(error)
            self.room()  # the others still wait for the place that this attempt held
            return
        connection.idle_since = self.now()
        self.released(endpoint, connection)

    def released(self, endpoint: Endpoint, connection: UpstreamConnection) -> None:
        """A connection is free: it goes to whoever waits longest, else to the idle ones."""
        if self.breaker.failures and connection.used:
            self.breaker.succeeded()
        if self._waiting:
            self._serve(endpoint, connection)
        elif self._closed:
            connection.abort()
        else:
            endpoint.idle.append(connection)

    def _serve(self, endpoint: Endpoint, connection: UpstreamConnection) -> None:
        """Give a connection to the first waiting call that may have it."""
        if connection.used and not endpoint.trusts_idle:
            # The model is likely to be closing it; a new one is made for the call.
            connection.abort()
            return
        for at, (call, _, fresh) in enumerate(self._waiting):
            if not (fresh and connection.used):
                del self._waiting[at]
                call.connected(connection)
                return
        connection.abort()  # calls wait for its place, not for itself

    def room(self) -> None:
        """A connection has gone; if calls wait for its place, make another."""
        if self._connecting >= len(self._waiting):
            return
        endpoint = self._only or self._least_loaded()
        if len(endpoint.open) + endpoint.connecting < self._limit:
            self._grow(endpoint)

    # -- health ----------------------------------------------------------------------------------

    def succeeded(self) -> None:
        """An answer came, on a connection that is not kept."""
        if self.breaker.failures:
            self.breaker.succeeded()

    def failed(self) -> None:
        """Count a failure to get an answer."""
        if self.breaker.failed(self.now()):
            self.gauge(ModelGauge.BREAKER_OPENED)

    def gauge(self, gauge: ModelGauge) -> None:
        """Count one event in the model's row."""
        if self.row >= 0:
            self._recorder.add_model(self.row, gauge)

    def tick(self, now: float) -> None:
        """Let deadlines pass: of waiting calls, of connections; show the gauges."""
        while self._waiting and self._waiting[0][1] <= now:
            self._waiting.popleft()[0].failed(
                UpstreamError(
                    "no connection to the model became free in time",
                    code="pool_timeout",
                    status=503,
                    unsent=True,
                )
            )
        for endpoint in self.endpoints:
            endpoint.tick(now)
        if self.on_tick is not None:
            self.on_tick()
        if self.row >= 0 and not self._closed:  # the row is the successor's by then
            show = self._recorder.set_model
            idle = sum(len(one.idle) for one in self.endpoints)
            show(self.row, ModelGauge.BREAKER, int(self.breaker.state))
            show(self.row, ModelGauge.CONNECTIONS, sum(len(one.open) for one in self.endpoints))
            show(self.row, ModelGauge.IDLE, idle)
            show(self.row, ModelGauge.WAITERS, len(self._waiting))

    @property
    def in_use(self) -> int:
        """Connections that serve a call, or calls that wait for one."""
        return sum(one.in_use for one in self.endpoints) + len(self._waiting)

    def cut_off(self) -> None:
        """The worker ends: whatever still waits or runs has failed."""
        self.close()
        error = UpstreamError("the sidecar is stopping", code="draining", status=503)
        while self._waiting:
            self._waiting.popleft()[0].failed(error)
        for endpoint in self.endpoints:
            for connection in list(endpoint.open):
                connection.give_up(error)

    def retire(self, in_use_again: Callable[[Pool], None]) -> None:
        """The model left the configuration, or another pool serves it now.

        An exchange that began before may come back to it much later, for a copy, retry or fallback:
        `in_use_again` is then told, so that somebody looks after the deadlines.
        """
        self._in_use_again = in_use_again
        self.close()

    def close(self) -> None:
        """Finish what runs, keep nothing."""
        self._closed = True
        for endpoint in self.endpoints:
            endpoint.close()
