"""A model that answers what was recorded, in the words of the Open Inference Protocol.

The `id` of a request is the place of its first row in the recording; it has as many rows as the
first tensor has values. Questions that `fails` says so of are answered with 500.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import orjson


class RecordedModel:
    """Serves on a free port of loopback, on threads, between `with` and its end."""

    def __init__(
        self,
        predictions: Sequence[int],
        scores: Sequence[float],
        *,
        fails: Callable[[dict[str, Any]], bool] = lambda _: False,
    ) -> None:
        self.predictions = predictions
        self.scores = scores
        self.fails = fails
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.model = self
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """The recorded answer to the rows of a question."""
        first, count = int(question["id"]), question["inputs"][0]["shape"][0]
        tensors = {
            "predict": ("INT64", self.predictions[first : first + count]),
            "predict_proba": ("FP64", self.scores[first : first + count]),
        }
        return {
            "model_name": "recorded",
            "id": question["id"],
            "outputs": [
                {"name": name, "datatype": datatype, "shape": [count], "data": data}
                for name, (datatype, data) in tensors.items()
            ],
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    model: RecordedModel


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        model, question = self.server.model, orjson.loads(body)
        failed = model.fails(question)
        answer = orjson.dumps({"error": "no"} if failed else model.answer(question))
        status = "500 Internal Server Error" if failed else "200 OK"
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(answer)}\r\n\r\n"
        )
        self.wfile.write(head.encode() + answer)

    def log_message(self, *_: object) -> None:
        pass
