"""A receiver on a real socket that behaves as a list of answers says, the last one for ever."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass
class Receiver:
    """What came in: bodies and header fields. `answers` are (status, header fields), or "hang"."""

    answers: list[Any] = field(default_factory=lambda: [(200, {})])
    bodies: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    server: TestServer | None = None

    async def __aenter__(self):
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self.server = TestServer(application)
        await self.server.start_server()
        return self

    async def __aexit__(self, *_):
        self.released.set()
        await self.server.close()

    @property
    def url(self) -> str:
        return str(self.server.make_url("/hook"))

    async def _answer(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        self.headers.append(dict(request.headers))
        self.bodies.append(await request.json())
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if answer == "hang":
            await self.released.wait()
            return web.Response()
        status, headers = answer
        return web.Response(status=status, headers=headers)
