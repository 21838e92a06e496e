"""One address of a model: its open connections, its idle ones, and how long those may be trusted.

An idle connection is dropped before the model drops it, since a request that meets a closing
connection may not be repeated when it is a POST. How long is learned: at most `pool.idle_timeout`,
less when the model's Keep-Alive field says so, less when connections were seen to be closed
younger. What was seen is forgotten by and by, since a model that restarts closes young connections
too.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sidecar.board import ModelGauge
from sidecar.config.settings import ModelSettings, UpstreamTls
from sidecar.errors import UpstreamError
from sidecar.proxy.head import ResponseParser
from sidecar.proxy.resolver import Address, Resolver
from sidecar.proxy.upstream import UpstreamConnection

if TYPE_CHECKING:
    from sidecar.proxy.pool import Pool

LEARNED_SHARE: Final = 0.5  # of the age at which the model was seen to close an idle connection
# After so long without such a close, and so many times what is trusted, twice as much is: quick to
# use connections again after a restart, slow to come near a model's keep-alive time again.
FORGET_S: Final = 1.0
FORGET_FACTOR: Final = 30
LEAST_TRUST_S: Final = 0.002  # what doubling begins with; less is no trust: the clock ticks in ms
KEEP_ALIVE_MARGIN_S: Final = 1.0  # below what Keep-Alive promises: the request travels too
DOWN_FOR_S: Final = 1.0  # an endpoint that refused is passed over this long while others are there


class Endpoint:
    """Connections to one URL of a model; owned by its `Pool`."""

    def __init__(
        self,
        url: str,
        settings: ModelSettings,
        *,
        pool: Pool,
        responses: ResponseParser,
        now: Callable[[], float],
        tls: ssl.SSLContext | None,
    ) -> None:
        self.url = url
        timeouts = settings.timeouts
        # Plain floats, and bounded here: the start of a call neither converts nor compares.
        self.connect_s = float(timeouts.connect)
        self.total_s = float(timeouts.total)
        self.first_byte_s = min(float(timeouts.first_byte), self.total_s)
        self.idle_s = min(float(timeouts.idle), self.total_s)
        self.responses = responses
        self.now = now
        self.idle: list[UpstreamConnection] = []  # the most recently used last
        self.open: set[UpstreamConnection] = set()
        self.connecting = 0
        self.down_until = 0.0
        self._pool = pool
        self._tls = tls
        self._most_s = float(settings.pool.idle_timeout)  # configured, or promised by the model
        self._limit_s = self._most_s  # what is trusted now
        self._learned_at = 0.0
        self._followed: tuple[Address, ...] = ()  # the addresses that connections may lead to
        parts = urlsplit(url)
        self._server_name = settings.tls.server_name or parts.hostname
        if parts.scheme == "unix":
            self._path: str | None = parts.path
            self.authority = b"localhost"
            self._resolver: Resolver | None = None
        else:
            self._path = None
            self.authority = parts.netloc.encode("ascii")
            default = 443 if parts.scheme == "https" else 80
            self._resolver = Resolver(parts.hostname or "", parts.port or default, spawn=pool.spawn)

    @property
    def in_use(self) -> int:
        """Connections that serve a call or are being made."""
        return len(self.open) - len(self.idle) + self.connecting

    # -- idle connections ------------------------------------------------------------------------

    def take_idle(self) -> UpstreamConnection | None:
        """The warmest idle connection that may still be trusted."""
        idle = self.idle
        while idle:
            connection = idle.pop()
            transport = connection.transport
            if (
                self.now() - connection.idle_since < self._limit_s
                and transport is not None
                and not transport.is_closing()
            ):
                return connection
            connection.abort()
        return None

    def release(self, connection: UpstreamConnection, keep_alive_s: float | None) -> None:
        """A call ended cleanly; the connection may serve the next."""
        if keep_alive_s is not None:
            promised = max(keep_alive_s - KEEP_ALIVE_MARGIN_S, keep_alive_s * LEARNED_SHARE)
            self._most_s = min(self._most_s, promised)
            self._limit_s = min(self._limit_s, promised)
        connection.idle_since = self.now()
        self._pool.released(self, connection)

    @property
    def trusts_idle(self) -> bool:
        """Whether a used connection may be used again at all."""
        return self._limit_s > 0

    # -- what a connection tells -----------------------------------------------------------------

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection is being closed by us."""
        if connection in self.open:
            self.open.discard(connection)
            if connection in self.idle:
                self.idle.remove(connection)
            self._pool.room()

    def give_away(self, connection: UpstreamConnection) -> None:
        """A connection became a tunnel: it is no longer pooled."""
        self.open.discard(connection)
        self._pool.room()

    def lost(self, connection: UpstreamConnection, *, idle: bool, began: bool) -> None:
        """A connection has ended. One that the model closed while idle teaches how long it waits.

        So does one that ended under a request before its answer began.
        """
        if connection in self.open and connection.used and not began:
            self._learned_at = self.now()
            age_s = self._learned_at - connection.idle_since
            trusted_s = min(self._limit_s, age_s * LEARNED_SHARE)
            self._limit_s = trusted_s if trusted_s >= LEAST_TRUST_S else 0.0
            if idle:
                self._pool.gauge(ModelGauge.IDLE_CLOSED_BY_MODEL)
        self.forget(connection)

    def failed(self) -> None:
        """A call got no answer, or a broken one."""
        self._pool.failed()

    def succeeded(self) -> None:
        """A call got its answer on a connection that is not kept."""
        self._pool.succeeded()

    def tick(self, now: float) -> None:
        """Close what is idle for too long; end what is past its deadline; follow the name."""
        if (
            self._limit_s < self._most_s
            and now - self._learned_at > FORGET_S + FORGET_FACTOR * self._limit_s
        ):
            self._learned_at = now
            self._limit_s = min(max(2 * self._limit_s, LEAST_TRUST_S), self._most_s)
        oldest = now - self._limit_s
        while self.idle and self.idle[0].idle_since < oldest:
            self.idle[0].abort()
        for connection in [one for one in self.open if one.deadline <= now]:
            connection.expire()
        if self._resolver is not None and self.open:
            self._follow_name(self._resolver, now)

    def _follow_name(self, resolver: Resolver, now: float) -> None:
        """Keep what is known of the name fresh; drop idle connections to addresses it has lost."""
        if resolver.stale(now):
            resolver.refresh(now)
        if resolver.known is not self._followed:
            self._followed = resolver.known
            for connection in [one for one in self.idle if _peer(one) not in self._followed]:
                connection.abort()

    # -- connecting ------------------------------------------------------------------------------

    async def connect(self) -> UpstreamConnection:
        """Open a connection within the connect timeout. Raises UpstreamError, `unsent`.

        The pool has counted it in `connecting` already.
        """
        try:
            async with asyncio.timeout(self.connect_s):
                connection = await self._connect()
        except TimeoutError:
            self.down_until = self.now() + DOWN_FOR_S
            raise UpstreamError(
                "connecting to the model took too long",
                code="upstream_connect_timeout",
                status=504,
                unsent=True,
            ) from None
        except (OSError, ssl.SSLError) as error:
            self.down_until = self.now() + DOWN_FOR_S
            raise UpstreamError(
                f"the model cannot be reached: {_cause(error)}",
                code="upstream_unreachable",
                unsent=True,
            ) from None
        finally:
            self.connecting -= 1
        if connection.transport is None or connection.transport.is_closing():
            self.down_until = self.now() + DOWN_FOR_S
            raise UpstreamError(
                "the model closed the connection at once",
                code="upstream_unreachable",
                unsent=True,
            )
        self.open.add(connection)
        self.down_until = 0.0
        return connection

    async def _connect(self) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        name = self._server_name if self._tls is not None else None
        if self._resolver is None:
            _, connection = await loop.create_unix_connection(
                lambda: UpstreamConnection(self), self._path
            )
            return connection
        last: OSError | None = None
        for host, port in await self._resolver.addresses(self.now()):
            try:
                _, connection = await loop.create_connection(
                    lambda: UpstreamConnection(self),
                    host,
                    port,
                    ssl=self._tls,
                    server_hostname=name,
                )
            except OSError as error:
                last = error
            else:
                return connection
        raise last or OSError("its name has no address")

    def close(self) -> None:
        """Drop what is idle; what is in use ends by itself."""
        for connection in list(self.idle):
            connection.abort()


def _peer(connection: UpstreamConnection) -> tuple[str, int] | None:
    if connection.transport is None:
        return None
    peer = connection.transport.get_extra_info("peername")
    return (peer[0], peer[1]) if isinstance(peer, tuple) else None


def _cause(error: OSError) -> str:
    """What went wrong, without addresses."""
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or 'handshake failed'}"
    return error.strerror or type(error).__name__


def tls_context(settings: UpstreamTls) -> ssl.SSLContext:
    """The TLS client context of a model. Raises OSError and ssl.SSLError for unusable files."""
    context = ssl.create_default_context(cafile=settings.ca_file)
    context.set_alpn_protocols(["http/1.1"])
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.cert_file is not None:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context
