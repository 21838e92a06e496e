"""A receiver of CloudEvents over HTTP, in a thread and with an event loop of its own."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from aiohttp import web

HANG, DISCONNECT = "hang", "disconnect"


@dataclass(frozen=True)
class Received:
    """One request: its header fields (names in lower case), its body, and the ids in it."""

    headers: dict[str, str]
    body: bytes
    ids: list[str]


Answer = int | str | tuple[int, dict[str, str]]


class EventReceiver:
    """Answers as `answer` says for each request (default: 204), and remembers what it took.

    An answer is a status, (status, header fields), HANG or DISCONNECT.
    """

    def __init__(self, answer: Callable[[Received], Answer] | None = None) -> None:
        self.answer = answer or (lambda _: 204)
        self.requests: list[Received] = []
        self.taken: Counter[str] = Counter()
        self.connections: set[tuple[str, int]] = set()
        self.endless = False
        self.port = 0
        self.context: ssl.SSLContext | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None
        self._transports: set[asyncio.Transport] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        scheme = "https" if self.context else "http"
        return f"{scheme}://127.0.0.1:{self.port}/events"

    def start(self) -> None:
        """Listen, on the port it had before if it ever had one."""
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)))
        self._thread.start()
        assert ready.wait(10)

    def stop(self) -> None:
        """Stop listening; connections are broken off."""
        if self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
            assert not self._thread.is_alive()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._transports = transports = set()
        application = web.Application(client_max_size=1 << 30)
        application.router.add_route("*", "/{path:.*}", self._receive)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.01)
        await runner.setup()
        site = web.TCPSite(
            runner, "127.0.0.1", self.port, ssl_context=self.context, reuse_address=True
        )
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        ready.set()
        await self._stop.wait()
        await runner.cleanup()
        for transport in transports:
            transport.abort()  # those of TLS wait for the other side to say goodbye
        await asyncio.sleep(0.01)

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        if headers.get("content-type") == "application/cloudevents-batch+json":
            ids = [event["id"] for event in json.loads(body)]
        else:
            ids = [headers["ce-id"]]
        self.connections.add(request.transport.get_extra_info("peername"))
        if request.transport is None:
            return web.Response()  # gone before it was read
        self._transports.add(request.transport)
        received = Received(headers, body, ids)
        self.requests.append(received)
        answer = self.answer(received)
        if answer == HANG:
            await self._stop.wait()
            return web.Response()
        if answer == DISCONNECT:
            request.transport.abort()
            return web.Response()
        status, fields = answer if isinstance(answer, tuple) else (answer, {})
        if 200 <= status < 300:
            self.taken.update(ids)
        if self.endless:
            response = web.StreamResponse(status=status)
            await response.prepare(request)
            while not self._stop.is_set():
                await response.write(b"more " * 1000)
            return response
        return web.Response(status=status, headers=fields)
