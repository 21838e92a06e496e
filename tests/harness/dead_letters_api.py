"""The calls about dead letters on a real listener, over a store and a replayer that run."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from harness.dead_letters import Clock, ListSink, new_store, world
from sidecar.admin.answers import errors_as_json
from sidecar.admin.dlq_api import DeadLetterCalls
from sidecar.admin.guard import guard_changes
from sidecar.delivery.dead_letters import DeadLetterStore, Replayer


@dataclass
class Api:
    """Where the calls are, and what is behind them. `token` guards when it is set."""

    store: DeadLetterStore
    clock: Clock
    sink: ListSink
    server: TestServer
    requests: list[tuple[web.Request, bytes]]
    token: bytes | None = None
    model_status: int = 200

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"


@contextlib.asynccontextmanager
async def dead_letters_api(directory: Path) -> AsyncIterator[Api]:
    """A store, a model `stable`, a sink `kafka`, and the calls about them."""
    clock = Clock()
    async with contextlib.AsyncExitStack() as stack:

        async def model(request: web.Request) -> web.Response:
            api.requests.append((request, await request.read()))
            return web.json_response({"predictions": [1]}, status=api.model_status)

        models = web.Application()
        models.router.add_route("*", "/{tail:.*}", model)
        model_server = await stack.enter_async_context(TestServer(models))

        store = new_store(directory, clock=clock)
        await store.open()
        stack.push_async_callback(store.close)
        sink = ListSink()
        replayer = Replayer(
            store,
            world({"stable": str(model_server.make_url("")).rstrip("/")}, {"kafka": sink}),
            monotonic_s=asyncio.get_running_loop().time,
            chance=lambda: 0.0,
        )
        calls = DeadLetterCalls(store, replayer, lambda: api.token, clock)
        application = web.Application(
            middlewares=[errors_as_json, guard_changes(lambda: api.token)]
        )
        application.add_routes(calls.routes())
        server = TestServer(application)
        api = Api(store, clock, sink, server, [])
        await stack.enter_async_context(server)
        replaying = asyncio.ensure_future(replayer.run())
        try:
            yield api
        finally:
            replaying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await replaying
