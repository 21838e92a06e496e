"""MLServer and KServe answer byte for byte the same through the sidecar as without it."""

import gzip
import json

import numpy as np
import pytest
import tritonclient.http as triton

FLOWERS = np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 2.8, 5.1, 1.5], [5.9, 3.0, 4.2, 1.5]])
INFER = "/v2/models/iris/infer"
JSON = {"content_type": "application/json"}

PER_EXCHANGE = {"date", "connection", "keep-alive"}
"""Fields about one connection or one moment (RFC 9110 6.6.1, 7.6.1)."""

OWN = {"x-request-id", "x-sidecar-model", "via"}
"""Fields the sidecar adds to an answer."""


def tensor(data, shape, datatype="FP64"):
    return {"name": "x", "shape": shape, "datatype": datatype, "data": data}


def question(*inputs, **fields):
    return json.dumps({"id": "fixed", "inputs": list(inputs)} | fields).encode()


ROWS = FLOWERS.tolist()
GOOD = question(tensor(ROWS, [3, 4]))
REQUESTS = {
    "nested data": ("POST", INFER, GOOD, JSON),
    "flat data": ("POST", INFER, question(tensor(FLOWERS.ravel().tolist(), [3, 4])), JSON),
    "a large batch": ("POST", INFER, question(tensor(ROWS * 3000, [9000, 4])), JSON),
    "a charset": ("POST", INFER, GOOD, {"content_type": "application/json; charset=utf-8"}),
    "metadata": ("GET", "/v2/models/iris", None, {}),
    "readiness": ("GET", "/v2/models/iris/ready", None, {}),
    "liveness": ("GET", "/v2/health/live", None, {}),
    "malformed JSON": ("POST", INFER, b'{"inputs": [', JSON),
    "an empty object": ("POST", INFER, b"{}", JSON),
    "an empty body": ("POST", INFER, b"", JSON),
    "bytes that are no text": ("POST", INFER, b"\xff\xfe\x00", JSON),
    "no inputs": ("POST", INFER, question(), JSON),
    "a shape that does not fit": ("POST", INFER, question(tensor([1, 2], [3, 4])), JSON),
    "too few features": ("POST", INFER, question(tensor([[1.0, 2.0]], [1, 2])), JSON),
    "an unknown datatype": ("POST", INFER, question(tensor(ROWS, [3, 4], "FP65")), JSON),
    "no content type": ("POST", INFER, GOOD, {}),
    "another content type": ("POST", INFER, GOOD, {"content_type": "text/csv"}),
    "an unknown model": ("POST", "/v2/models/rose/infer", GOOD, JSON),
    "an unknown path": ("GET", "/nowhere?a=b%20c", None, {}),
    "a method that is not allowed": ("DELETE", INFER, None, {}),
    "HEAD": ("HEAD", "/v2/health/live", None, {}),
}  # fmt: skip


def kept(answer):
    return sorted(field for field in answer.fields if field[0] not in PER_EXCHANGE | OWN)


@pytest.fixture(params=["mlserver", "kserve"])
def server(request):
    """The address of each model server in turn."""
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("name", REQUESTS)
def test_status_fields_and_body_are_the_models_own(ask, server, sidecar_before, name):
    method, path, body, fields = REQUESTS[name]
    direct = ask(server, method, path, body, **fields)
    proxied = ask(sidecar_before(server).address, method, path, body, **fields)
    assert proxied.status == direct.status
    assert proxied.body == direct.body
    assert kept(proxied) == kept(direct)
    assert {"x-request-id", "x-sidecar-model"} <= dict(proxied.fields).keys()


def test_kserves_first_protocol_is_answered_alike(ask, kserve, sidecar_before):
    body = json.dumps({"instances": ROWS}).encode()
    direct = ask(kserve, "POST", "/v1/models/iris:predict", body, **JSON)
    proxied = ask(sidecar_before(kserve).address, "POST", "/v1/models/iris:predict", body, **JSON)
    assert direct.status == 200
    assert proxied.body == direct.body


def test_a_gzipped_answer_stays_gzipped(ask, mlserver, sidecar_before):
    request = "POST", INFER, question(tensor(ROWS * 300, [900, 4]))
    direct = ask(mlserver, *request, accept_encoding="gzip", **JSON)
    proxied = ask(sidecar_before(mlserver).address, *request, accept_encoding="gzip", **JSON)
    assert (
        dict(direct.fields)["content-encoding"]
        == dict(proxied.fields)["content-encoding"]
        == "gzip"
    )
    assert gzip.decompress(proxied.body) == gzip.decompress(direct.body)
    # RFC 1952 2.3: bytes 4 to 8 are the time at which the server compressed.
    assert proxied.body[8:] == direct.body[8:]


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_a_compressed_request_arrives_as_it_was_sent(ask, mlserver, sidecar_before, compression):
    """Neither server decompresses requests alike, so the same refusal or answer is the proof."""
    body = gzip.compress(GOOD, mtime=0)
    fields = JSON | {"content_encoding": compression}
    direct = ask(mlserver, "POST", INFER, body, **fields)
    proxied = ask(sidecar_before(mlserver).address, "POST", INFER, body, **fields)
    assert (proxied.status, proxied.body) == (direct.status, direct.body)


def infer(address, *, output, binary):
    """One call of Triton's client: the answer's JSON and its array."""
    client = triton.InferenceServerClient(address)
    try:
        asked = triton.InferInput("x", list(FLOWERS.shape), "FP64")
        asked.set_data_from_numpy(FLOWERS, binary_data=binary)
        wanted = [triton.InferRequestedOutput(output, binary_data=binary)]
        headers = None if binary else {"content-type": "application/json"}
        result = client.infer("iris", [asked], request_id="fixed", outputs=wanted, headers=headers)
        return result.get_response(), result.as_numpy(output)
    finally:
        client.close()


@pytest.mark.parametrize(
    ("name", "output", "binary"),
    [
        ("mlserver", "predict", False),
        ("kserve", "predict_proba", False),
        ("kserve", "predict_proba", True),
    ],
)
def test_tritonclient_gets_the_same_tensors(request, sidecar_before, name, output, binary):
    server = request.getfixturevalue(name)
    answer, array = infer(server, output=output, binary=binary)
    proxied_answer, proxied_array = infer(
        sidecar_before(server).address, output=output, binary=binary
    )
    assert proxied_answer == answer
    assert len(array) == len(FLOWERS)
    np.testing.assert_array_equal(proxied_array, array)


def test_binary_tensors_pass_byte_for_byte(ask, kserve, sidecar_before):
    asked = triton.InferInput("x", list(FLOWERS.shape), "FP64")
    asked.set_data_from_numpy(FLOWERS, binary_data=True)
    wanted = [triton.InferRequestedOutput("predict_proba", binary_data=True)]
    body, json_bytes = triton.InferenceServerClient.generate_request_body(
        [asked], outputs=wanted, request_id="fixed"
    )
    fields = {
        "content_type": "application/octet-stream",
        "inference_header_content_length": str(json_bytes),
    }
    direct = ask(kserve, "POST", INFER, body, **fields)
    proxied = ask(sidecar_before(kserve).address, "POST", INFER, body, **fields)
    assert direct.status == 200
    assert b"binary_data_size" in direct.body
    assert proxied.body == direct.body
    assert kept(proxied) == kept(direct)
