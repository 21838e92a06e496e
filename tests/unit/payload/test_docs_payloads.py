"""What docs/payloads.md shows is read as it says."""

import re
from pathlib import Path

import pytest
import yaml

from sidecar.config.convert import convert
from sidecar.config.rules import examine
from sidecar.payload import Body, PayloadSettings, Protocol, Reason, codec_for
from sidecar.payload.answers import PREDICTION_NAMES, SCORE_NAMES
from sidecar.payload.bodies import protocol_of
from sidecar.payload.columns import MOST_COLUMNS
from sidecar.payload.openai import FEATURES
from sidecar.payload.sse import LONGEST_LINE

PAGE = (Path(__file__).parents[3] / "docs" / "payloads.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
PROTOCOLS = {
    "Open Inference Protocol": Protocol.OPEN_INFERENCE,
    "KServe v1 and TensorFlow Serving": Protocol.KSERVE_V1,
    "MLflow": Protocol.MLFLOW,
    "OpenAI": Protocol.OPENAI,
}


def blocks(section: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("title", PROTOCOLS)
def test_the_request_and_the_answer_of_a_protocol_are_read(title):
    protocol = PROTOCOLS[title]
    request, answer = (Body(text.encode()) for text in blocks(SECTIONS[title], "json"))
    codec = codec_for(PayloadSettings(codec=protocol), max_bytes=10_000)

    inputs = codec.read_request(request)
    outputs = codec.read_response(answer, inputs)

    assert protocol_of(request, 10_000) is protocol
    assert len(outputs.predictions) == len(inputs.rows)
    if protocol is not Protocol.OPENAI:
        assert inputs.names == ("age", "region")
        assert [list(row) for row in inputs.rows] == [[41, "eu"], [35, "us"]]


@pytest.mark.parametrize(
    "text", [block for name in SECTIONS for block in blocks(SECTIONS[name], "yaml")]
)
def test_its_configurations_are_valid(text):
    route = yaml.safe_load(text)
    if "routes" in route:
        (route,) = route["routes"]
    settings = convert(
        {
            "models": {"stable": {"url": "http://127.0.0.1:9000"}},
            "routes": [{"name": "a", "primary": "stable", **route}],
        }
    )

    assert list(examine(settings)) == []


def test_names_and_bounds_are_those_of_the_code():
    said = SECTIONS["Predictions and scores"]
    listed = re.findall(r"`(\w+)`", said.partition("| the score is")[0])

    assert [name for name in listed if name in PREDICTION_NAMES] == list(PREDICTION_NAMES)
    assert [name for name in listed if name in SCORE_NAMES] == list(SCORE_NAMES)
    assert f"more than {MOST_COLUMNS} values" in PAGE
    assert f"{LONGEST_LINE // 1024} KiB" in SECTIONS["OpenAI"]
    assert all(f"`{name}`" in SECTIONS["OpenAI"] for name in FEATURES)


def test_every_reason_and_every_codec_is_explained():
    assert re.findall(r"^\| `unread_(\w+)`", PAGE, re.MULTILINE) == [
        reason.value for reason in Reason
    ]
    assert all(f"`{codec}`" in PAGE or f"codec: {codec}" in PAGE for codec in Protocol)
