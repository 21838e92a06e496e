"""A small model server that speaks the Open Inference Protocol over HTTP: one model, one process.

`python -m sidecar.demo.model_server --name N --version V --model FILE` listens on a free port of
loopback and prints `ready PORT`. It ends on SIGTERM, and when its standard input closes, so that no
server outlives the demo that started it, however that one ended.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from sidecar.demo.dataset import FEATURES
from sidecar.demo.open_inference import (
    Failure,
    InferRequest,
    InferResponse,
    Tensor,
    chosen,
    read_request,
    write,
)
from sidecar.demo.training import THRESHOLD, LoanModel

_LARGEST_BODY = 16 * 1024 * 1024
_STOP_S = 1.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ModelServer:
    """The protocol's endpoints for one model."""

    def __init__(self, *, name: str, version: str, model: LoanModel) -> None:
        self._name = name
        self._version = version
        self._model = model

    def application(self) -> web.Application:
        """Return the web application."""
        app = web.Application(
            client_max_size=_LARGEST_BODY, middlewares=[_errors_as_the_protocol_says]
        )
        app.router.add_get("/v2", self._server_metadata)
        app.router.add_get("/v2/health/live", self._ok)
        app.router.add_get("/v2/health/ready", self._ok)
        for model in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
            app.router.add_get(model, self._model_metadata)
            app.router.add_get(f"{model}/ready", self._model_ready)
            app.router.add_post(f"{model}/infer", self._infer)
        return app

    async def _ok(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _server_metadata(self, _: web.Request) -> web.Response:
        return _json({"name": "sidecar-demo", "version": self._version, "extensions": []})

    async def _model_ready(self, request: web.Request) -> web.Response:
        self._check_named(request)
        return web.Response()

    async def _model_metadata(self, request: web.Request) -> web.Response:
        self._check_named(request)
        inputs = [{"name": f.name, "datatype": f.datatype, "shape": [-1]} for f in FEATURES]
        outputs = [
            {"name": "predict", "datatype": "INT64", "shape": [-1]},
            {"name": "predict_proba", "datatype": "FP64", "shape": [-1]},
        ]
        return _json(
            {
                "name": self._name,
                "versions": [self._version],
                "platform": "scikit-learn",
                "inputs": inputs,
                "outputs": outputs,
            }
        )

    async def _infer(self, request: web.Request) -> web.Response:
        self._check_named(request)
        return web.Response(
            body=write(self._answer(read_request(await request.read()))),
            content_type="application/json",
        )

    def _answer(self, question: InferRequest) -> InferResponse:
        columns = {tensor.name: tensor.values() for tensor in question.inputs}
        probabilities = self._model.predict(columns)
        shape = (len(probabilities),)
        outputs = [
            Tensor(
                name="predict",
                shape=shape,
                datatype="INT64",
                data=(probabilities >= THRESHOLD).astype(int).tolist(),
            ),
            Tensor(name="predict_proba", shape=shape, datatype="FP64", data=probabilities.tolist()),
        ]
        return InferResponse(
            model_name=self._name,
            model_version=self._version,
            id=question.id,
            outputs=chosen(outputs, question.outputs),
        )

    def _check_named(self, request: web.Request) -> None:
        named = request.match_info["model"]
        version = request.match_info.get("version", self._version)
        if (named, version) != (self._name, self._version):
            raise web.HTTPNotFound(text=f"there is no model {named!r} of version {version!r}")


@web.middleware
async def _errors_as_the_protocol_says(
    request: web.Request, handler: Handler
) -> web.StreamResponse:
    try:
        return await handler(request)
    except ValueError as error:
        return _json(Failure(error=str(error)), status=400)
    except web.HTTPException as error:
        return _json(Failure(error=error.text or error.reason), status=error.status)


def _json(message: Failure | dict[str, object], *, status: int = 200) -> web.Response:
    return web.Response(body=write(message), status=status, content_type="application/json")


async def serve(server: ModelServer) -> None:
    """Serve on a free loopback port until SIGTERM or the end of standard input."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(sys.stdin.fileno(), stop.set)  # nobody writes to it: readable means closed
    runner = web.AppRunner(server.application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=_STOP_S)
    await site.start()
    port: int = runner.addresses[0][1]
    sys.stdout.write(f"ready {port}\n")
    sys.stdout.flush()
    await stop.wait()
    loop.remove_reader(sys.stdin.fileno())
    await runner.cleanup()


def main() -> None:
    """Run the server that the arguments describe."""
    parser = argparse.ArgumentParser(
        prog="python -m sidecar.demo.model_server", description=__doc__
    )
    parser.add_argument("--name", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--model", required=True, type=Path)
    arguments = parser.parse_args()
    model = LoanModel.load(arguments.model)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(ModelServer(name=arguments.name, version=arguments.version, model=model)))


if __name__ == "__main__":
    main()
