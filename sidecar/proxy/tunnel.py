"""A connection that changed protocols (RFC 9110 7.8): bytes pass both ways, uninterpreted.

Both transports get a new protocol, so that nothing on the request path asks whether it is a tunnel.
Either side's end ends the other's: a half-closed WebSocket has nothing more to say.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sidecar.proxy.upstream import UpstreamConnection

if TYPE_CHECKING:
    from sidecar.proxy.client import ClientConnection
    from sidecar.proxy.plane import Plane


class _Side(asyncio.Protocol):
    """Takes what one transport brings to the other."""

    __slots__ = ("_plane", "_tunnel", "own", "peer")

    def __init__(self, own: asyncio.Transport, tunnel: Tunnel) -> None:
        self.own = own
        self._tunnel = tunnel
        self.peer: _Side | None = None

    def data_received(self, data: bytes) -> None:
        peer = self.peer
        self._tunnel.stir()
        if peer is not None and not peer.own.is_closing():
            peer.own.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tunnel.lost(self, broken=exc is not None)

    def pause_writing(self) -> None:
        if self.peer is not None and not self.peer.own.is_closing():
            self.peer.own.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and not self.peer.own.is_closing():
            self.peer.own.resume_reading()


class Tunnel:
    """Two sides and the deadline of their silence; owned by the worker's plane."""

    def __init__(
        self, plane: Plane, client: asyncio.Transport, upstream: asyncio.Transport, *, idle_s: float
    ) -> None:
        self._plane = plane
        self._idle_s = idle_s
        self.deadline = plane.now() + idle_s
        self._client = _Side(client, self)
        self._upstream = _Side(upstream, self)
        self._sides = {self._client, self._upstream}  # that have not ended
        self._client.peer = self._upstream
        self._upstream.peer = self._client
        client.set_protocol(self._client)
        upstream.set_protocol(self._upstream)
        plane.tunnels.add(self)

    def stir(self) -> None:
        """Something passed."""
        self.deadline = self._plane.now() + self._idle_s

    def to_upstream(self, data: bytes) -> None:
        """Pass on what the client had sent before the tunnel stood."""
        self._client.data_received(data)

    def lost(self, side: _Side, *, broken: bool) -> None:
        """A side has ended, and so does the other."""
        self._sides.discard(side)
        if not self._sides:
            self._plane.tunnels.discard(self)
        self.close(broken=broken)

    def close(self, *, broken: bool = False) -> None:
        """End both sides: what is written is flushed until the deadline, unless a side broke."""
        for side in self._sides:
            side.peer = None
            if broken:
                side.own.abort()
            elif not side.own.is_closing():
                side.own.close()

    def expire(self) -> None:
        """Silent for too long."""
        self.close(broken=True)


def join(
    client: ClientConnection, upstream: UpstreamConnection, *, idle_s: float, early: bytes
) -> None:
    """Let a client and a model talk without us. `early` is what the client sent ahead."""
    ours, theirs = client.transport, upstream.transport
    plane = client.plane
    if ours is None or theirs is None or ours.is_closing() or theirs.is_closing():
        for transport in (ours, theirs):
            if transport is not None:
                transport.abort()
        return
    client.transport = None
    plane.left(client)
    upstream.transport = None
    tunnel = Tunnel(plane, ours, theirs, idle_s=idle_s)
    if early:
        tunnel.to_upstream(early)
