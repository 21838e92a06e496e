"""Which protocol a body speaks, and where nobody should guess."""

import pytest

from sidecar.payload import Body, Outputs, Protocol, Reason, Undecodable
from sidecar.payload.bodies import protocol_of

AUTO = Protocol.AUTO


@pytest.mark.parametrize(
    ("path", "protocol"),
    [
        (b"/v2/models/iris/infer", Protocol.OPEN_INFERENCE),
        (b"/v2/models/iris/versions/3/infer", Protocol.OPEN_INFERENCE),
        (b"/seldon/ns/v2/models/iris/infer?x=1", Protocol.OPEN_INFERENCE),
        (b"/v1/models/iris:predict", Protocol.KSERVE_V1),
        (b"/v1/models/iris/versions/3:predict", Protocol.KSERVE_V1),
        (b"/v1/models/iris/labels/canary:predict", Protocol.KSERVE_V1),
        (b"/invocations", Protocol.MLFLOW),
        (b"/v1/chat/completions", Protocol.OPENAI),
        (b"/openai/v1/completions?api-version=1", Protocol.OPENAI),
    ],
)
def test_a_path_is_enough(path, protocol):
    assert protocol_of(Body(b"", path), 100) is protocol


@pytest.mark.parametrize(
    "path",
    [
        b"/v2/models/iris",
        b"/v2/models//infer",
        b"/v2/models/iris/infer/x",
        b"/v1/models/iris:explain",
        b"/v1/completions/x",
        b"/invocationsx",
        b"/?x=/other",
    ],
)
def test_a_path_that_only_looks_like_one_is_none(path):
    with pytest.raises(Undecodable):
        protocol_of(Body(b"{}", path), 100)


@pytest.mark.parametrize(
    ("content_type", "protocol"),
    [
        (b"text/csv", Protocol.CSV),
        (b"Text/CSV; header=present", Protocol.CSV),
        (b"text/event-stream", Protocol.OPENAI),
    ],
)
def test_a_media_type_may_be_enough(content_type, protocol):
    assert protocol_of(Body(b"", content_type=content_type), 100) is protocol


@pytest.mark.parametrize(
    ("text", "protocol"),
    [
        (b'{"inputs": [{"name": "x", "datatype": "FP32"}]}', Protocol.OPEN_INFERENCE),
        (b'{"inputs": [[1]]}', Protocol.KSERVE_V1),
        (b'{"inputs": {"a": [1]}}', Protocol.KSERVE_V1),
        (b'{"instances": [[1]]}', Protocol.KSERVE_V1),
        (b'{"dataframe_split": {}}', Protocol.MLFLOW),
        (b'{"dataframe_records": []}', Protocol.MLFLOW),
        (b'{"model": "m", "messages": []}', Protocol.OPENAI),
        (b'{"model": "m", "prompt": "x"}', Protocol.OPENAI),
    ],
)
def test_the_keys_of_a_request_tell(text, protocol):
    assert protocol_of(Body(text), 100) is protocol


@pytest.mark.parametrize(
    ("text", "protocol"),
    [
        (b'{"outputs": [{"name": "x", "datatype": "FP32"}]}', Protocol.OPEN_INFERENCE),
        (b'{"outputs": {"a": [1]}}', Protocol.KSERVE_V1),
        (b'{"predictions": [1]}', Protocol.KSERVE_V1),
        (b'{"choices": []}', Protocol.OPENAI),
    ],
)
def test_the_keys_of_an_answer_tell(text, protocol):
    assert protocol_of(Body(text), 100, answer=True) is protocol


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"1", b'{"age": 3}', b'[{"age": 3}]'])
def test_json_of_no_protocol_is_never_guessed_at(reader, text):
    refused = reader(AUTO).refusal(text)

    assert refused.reason is Reason.UNKNOWN


def test_the_path_outranks_the_form(reader):
    body = {"instances": [[1]]}

    assert reader(AUTO).request(body, path=b"/v1/models/a:predict").rows == [[1]]
    refused = reader(AUTO).refusal(body, path=b"/v2/models/a/infer")
    assert refused.reason is Reason.SHAPE


def test_one_route_may_carry_several_protocols(reader):
    auto = reader(AUTO)
    tensor = {"name": "x", "shape": [1], "datatype": "INT64", "data": [1]}

    assert auto.request({"inputs": [tensor]}).rows == [[1]]
    assert auto.request({"instances": [[2]]}).rows == [[2]]
    assert auto.request({"dataframe_records": [{"a": 3}]}).rows == [[3]]
    assert auto.request("4,5\n", content_type=b"text/csv").rows == [[4, 5]]
    assert auto.request({"messages": []}).names[0] == "model"
    assert auto.response({"outputs": [tensor]}) == Outputs([1])
    assert auto.response({"predictions": [2]}) == Outputs([2])
    assert auto.response("3\n", path=b"/invocations", content_type=b"text/csv") == Outputs([3])
    assert auto.response([4], path=b"/invocations") == Outputs([4])


def test_paths_of_hostile_clients_are_not_remembered_without_end(reader):
    auto = reader(AUTO)

    for number in range(1000):
        auto.request({"instances": [[1]]}, path=f"/v1/models/{number}:predict".encode())

    assert len(auto.codec._by_path) == 256
