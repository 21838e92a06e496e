"""Clients that models are asked with every day, through the sidecar: httpx, curl, websockets."""

import json
import shutil
import subprocess
import threading

import httpx
import pytest
from websockets.sync.client import connect
from websockets.sync.server import serve

INFER = "/v2/models/iris/infer"


def question(rows):
    tensor = {
        "name": "x",
        "shape": [rows, 4],
        "datatype": "FP64",
        "data": [5.1, 3.5, 1.4, 0.2] * rows,
    }
    return json.dumps({"id": "fixed", "inputs": [tensor]}).encode()


async def test_httpx_reuses_its_connections_for_many_requests(mlserver, sidecar_before):
    url = f"http://{sidecar_before(mlserver).address}{INFER}"
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=4), timeout=30) as client:
        for _ in range(50):
            answer = await client.post(
                url, content=question(2), headers={"content-type": "application/json"}
            )
            assert answer.status_code == 200
            assert answer.json()["outputs"][0]["data"] == [0, 0]


async def test_httpx_sends_a_body_in_chunks_of_unknown_total(mlserver, sidecar_before):
    body = question(500)

    async def pieces():
        for start in range(0, len(body), 1_000):
            yield body[start : start + 1_000]

    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.post(
            f"http://{sidecar_before(mlserver).address}{INFER}",
            content=pieces(),
            headers={"content-type": "application/json"},
        )
    assert answer.json()["outputs"][0]["data"] == [0] * 500


def test_curl_waits_for_100_continue_before_a_large_body(mlserver, sidecar_before, tmp_path):
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    (tmp_path / "body").write_bytes(question(100_000))
    done = subprocess.run(
        [
            curl, "--silent", "--show-error", "--verbose", "--max-time", "30",
            "--header", "content-type: application/json", "--header", "expect: 100-continue",
            "--data-binary", f"@{tmp_path / 'body'}", "--output", tmp_path / "answer",
            f"http://{sidecar_before(mlserver).address}{INFER}",
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "HTTP/1.1 100 Continue" in done.stderr
    assert json.loads((tmp_path / "answer").read_bytes())["outputs"][0]["shape"] == [100_000, 1]


@pytest.fixture
def echo():
    """A WebSocket server that says everything back: its address."""

    def say_back(socket):
        for message in socket:
            socket.send(message)

    with serve(say_back, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


def test_a_websocket_is_tunnelled_both_ways(echo, sidecar_before):
    with connect(f"ws://{sidecar_before(echo).address}/chat") as socket:
        for message in ("hello", b"\x00\xff" * 50_000, "", "bye"):
            socket.send(message)
            assert socket.recv(timeout=10) == message
