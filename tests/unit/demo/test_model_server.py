"""The demo's model server over real sockets: the protocol's endpoints and errors."""

import asyncio
import os
import sys

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from sidecar.demo.model_server import ModelServer
from sidecar.demo.traffic import question
from sidecar.demo.training import train

INFER = "/v2/models/car-loan/infer"
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def model(loans):
    return train("trial", loans).model


@pytest.fixture
async def client(model):
    server = TestServer(ModelServer(name="car-loan", version="3", model=model).application())
    async with TestClient(server) as client:
        yield client


@pytest.mark.parametrize(
    "path",
    [
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/car-loan/ready",
        "/v2/models/car-loan/versions/3/ready",
        "/v2",
        "/v2/models/car-loan",
    ],
)
async def test_it_is_live_ready_and_describes_itself(client, path):
    async with client.get(path) as response:
        assert response.status == 200


@pytest.mark.parametrize("path", [INFER, "/v2/models/car-loan/versions/3/infer"])
async def test_an_answer_echoes_the_id_and_names_the_model(client, loans, path):
    async with client.post(path, data=question("loan-7", loans.rows[0]), headers=JSON) as response:
        assert response.status == 200
        assert response.content_type == "application/json"
        answer = await response.json()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == (
        "loan-7",
        "car-loan",
        "3",
    )
    predict, proba = answer["outputs"]
    assert (predict["name"], predict["shape"], predict["datatype"]) == ("predict", [1], "INT64")
    assert (proba["name"], proba["shape"], proba["datatype"]) == ("predict_proba", [1], "FP64")
    assert predict["data"] == [int(proba["data"][0] >= 0.5)]


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (INFER, b"{", 400, "not an inference request"),
        (INFER, b'{"inputs": []}', 400, "missing inputs"),
        ("/v2/models/other/infer", b"{}", 404, "no model 'other'"),
        ("/v2/models/car-loan/versions/9/infer", b"{}", 404, "version '9'"),
        ("/v2/nowhere", b"{}", 404, "Not Found"),
        ("/v2/health/ready", b"{}", 405, "Not Allowed"),
    ],
)
async def test_errors_are_the_protocols_error_object(client, path, body, status, words):
    async with client.post(path, data=body, headers=JSON) as response:
        assert response.status == status
        assert response.content_type == "application/json"
        failure = await response.json()
    assert list(failure) == ["error"]
    assert words in failure["error"]


@pytest.fixture
async def process(model, tmp_path):
    model.save(tmp_path / "m")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidecar.demo.model_server",
        "--name", "car-loan", "--version", "1", "--model", str(tmp_path / "m"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    yield process
    if process.returncode is None:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("how", ["SIGTERM", "the end of its standard input"])
async def test_the_process_says_where_it_listens_and_ends_when_told(process, loans, how):
    port = int((await process.stdout.readline()).removeprefix(b"ready "))
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}{INFER}"
        async with session.post(url, data=question("1", loans.rows[0]), headers=JSON) as response:
            assert response.status == 200
    if how == "SIGTERM":
        process.terminate()
    else:
        process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 10) == 0
