"""`sidecar inspect`, run as a person would: what is seen, and why something cannot be."""

import gzip
import json

import pytest
import typer
from typer.testing import CliRunner

from sidecar.baseline import encode, learn
from sidecar.cli import inspect
from sidecar.errors import ConfigError

CONFIG = """\
models:
  stable: {url: "http://127.0.0.1:9000"}
  next: {url: "http://127.0.0.1:9001"}
  other: {url: "http://127.0.0.1:9002"}
routes:
  - name: loans
    match: {path_prefix: /loans}
    primary: stable
    canaries: [{model: next, percent: 5}]
    payload: {codec: kserve-v1, features: [age, region]}
    segments:
      - {name: region, from: {feature: region}, values: [eu, us]}
      - {name: tier, from: {header: x-tier}}
  - name: rest
    primary: stable
    shadows: [{model: other}]
"""
TENSOR = {"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [1, 2.5, None, "\x1b[2J"]}
ROW = b'{"instances": [{"age": 41, "region": "eu", "extra": 1}]}'


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command in a directory with a configuration, on a request."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sidecar.yaml").write_text(CONFIG, encoding="utf-8")
    app = typer.Typer()
    app.command("version")(lambda: None)
    inspect.register(app)

    def run(*arguments: str, request: bytes = b"", answer: bytes | None = None):
        if answer is not None:
            (tmp_path / "answer").write_bytes(answer)
            arguments += ("--response", "answer")
        result = CliRunner().invoke(app, ["inspect", *arguments], input=request)
        if isinstance(result.exception, ConfigError):
            raise result.exception
        return result

    return run


def test_a_request_is_shown_by_feature_without_any_configuration(run):
    result = run("--codec", "auto", request=json.dumps({"inputs": [TENSOR]}).encode())

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "request   open-inference, known by its form",
        "rows      2",
        "feature\tkind\trow 0\trow 1",
        "x[0]\tnumeric\t1\t-",
        'x[1]\tmixed\t2.5\t"\\u001b[2J"',
    ]


def test_the_route_of_a_model_says_how_to_read(run):
    result = run("--model", "next", "--header", "X-Tier: gold", request=ROW)

    assert result.stdout.splitlines() == [
        "request   kserve-v1, known by the configuration",
        "rows      1",
        "segment   region = eu, counted as eu",
        "segment   tier = gold, counted as gold if that is among the most frequent",
        "feature\tkind\tvalue",
        "age\tnumeric\t41",
        "region\tcategorical\teu",
    ]


def test_a_value_that_is_not_told_apart_is_counted_as_other(run):
    result = run("--model", "next", "--json", request=ROW.replace(b"eu", b"asia"))

    region, tier = json.loads(result.stdout)["request"]["segments"]
    assert (region["value"], region["counted_as"]) == ("asia", "other")
    assert (tier["value"], tier["counted_as"]) == (None, "other")


def test_an_answer_is_shown_beside_its_request(run):
    result = run(
        "--codec",
        "kserve-v1",
        request=b'{"instances": [[1], [2]]}',
        answer=b'{"predictions": [[0.25, 0.75], [0.5, 0.5]]}',
    )

    assert result.stdout.splitlines()[-4:] == [
        "rows      2",
        "prediction\tscore\tconfidence",
        "1\t0.75\t0.75",
        "0\t0.5\t0.5",
    ]


def test_the_machine_form_holds_everything(run):
    result = run(
        "--codec",
        "auto",
        "--path",
        "/v1/models/a:predict",
        "--json",
        request=b'{"instances": [[1, NaN], [2, Infinity]]}',
        answer=b'{"predictions": [1, 0]}',
    )

    assert json.loads(result.stdout) == {
        "request": {
            "bytes": 40,
            "protocol": "kserve-v1",
            "known_by": "its path",
            "rows": 2,
            "features": [
                {"name": "input[0]", "kind": "numeric", "values": [1, 2]},
                {"name": "input[1]", "kind": "numeric", "values": [None, "inf"]},
            ],
            "segments": [],
        },
        "response": {
            "bytes": 23,
            "protocol": "kserve-v1",
            "known_by": "its path",
            "predictions": [1, 0],
            "scores": [],
            "confidences": [],
            "measures": {},
        },
    }


@pytest.mark.parametrize(
    ("request_body", "reason"),
    [
        (b"{", "not_json: no JSON from character 1 on"),
        (b"", "unknown: an empty body"),
        (b'{"a": 1}', "unknown: no known protocol by path or form: set `payload.codec`"),
        (b'{"instances": 1}', "shape: rows that are no list"),
        (b"[" * 2000 + b"]" * 2000, "too_deep"),
    ],
)
def test_what_cannot_be_read_exits_with_one_and_the_reason(run, request_body, reason):
    result = run("--codec", "auto", request=request_body)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert f"the request cannot be read: {reason}" in result.stderr


def test_an_answer_that_cannot_be_read_exits_with_one_too(run):
    result = run("--codec", "kserve-v1", request=b'{"instances": [1]}', answer=b"oops")

    assert result.exit_code == 1
    assert "rows      1" in result.stdout
    assert "the response cannot be read: not_json" in result.stderr


def test_head_fields_say_how_a_body_is_packed(run):
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32"}
    head = json.dumps({"inputs": [tensor]}).encode()
    request = gzip.compress(head + b"\0\0\x80\x3f\0\0\0\x40")

    result = run(
        "--codec",
        "auto",
        "-H",
        "Content-Encoding: gzip",
        "-H",
        f"Inference-Header-Content-Length: {len(head)}",
        request=request,
    )

    assert result.stdout.splitlines()[-2:] == ["x[0]\tnumeric\t1.0", "x[1]\tnumeric\t2.0"]


def test_a_stream_of_events_is_read_by_its_media_type(run):
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    result = run(
        "--codec",
        "auto",
        "--response-type",
        "text/event-stream",
        request=b'{"model": "m", "messages": []}',
        answer=f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode(),
    )

    assert "measure   completion_tokens = 1.0" in result.stdout
    assert result.stdout.splitlines()[-1] == "stop"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "stabel"], "--model: no model `stabel`; did you mean `stable`?"),
        (["--route", "lons"], "--route: no route `lons`; did you mean `loans`?"),
        (["--model", "other", "--route", "loans"], "--model: no such route asks `other`"),
        (["--model", "stable"], "--route: `loans`, `rest` read payloads differently: choose one"),
        (["--codec", "csv", "--header", "x"], '--header: expected `name: value`, found "x"'),
        (
            ["--codec", "csv", "-H", "Inference-Header-Content-Length: x"],
            "--header: Inference-Header-Content-Length is no number",
        ),
        (["--codec", "csv", "--response", "none"], "--response: none cannot be read: No such file"),
        (["-c", "none.yaml"], "none.yaml cannot be read"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_with_the_fix(run, arguments, sentence):
    with pytest.raises(ConfigError) as refused:
        run(*arguments)

    assert sentence in str(refused.value)


def test_the_route_decides_between_readings(run):
    result = run("--model", "stable", "--route", "rest", request=ROW)

    assert "kserve-v1, known by its form" in result.stdout
    assert "extra\tnumeric\t1" in result.stdout


def test_what_is_too_large_to_be_a_request_is_not_read_to_its_end(run, monkeypatch):
    monkeypatch.setattr(inspect, "LARGEST_BYTES", 1 << 20)
    with pytest.raises(ConfigError, match="more than 1 MiB"):
        run("--codec", "json", request=b" " * (1 << 20) + b"1")


def test_a_codec_outranks_that_of_the_route(run):
    result = run("--model", "next", "--codec", "csv", request=b"41,eu\n")

    assert result.stdout.splitlines()[-2:] == ["age\tnumeric\t41", "region\tcategorical\teu"]


def test_a_baseline_that_is_not_there_is_remarked_and_gives_no_names(run, tmp_path):
    text = CONFIG.replace('9002"}', '9002", baseline: none.json}')
    (tmp_path / "sidecar.yaml").write_text(text, encoding="utf-8")

    result = run("--model", "other", request=ROW)

    assert result.exit_code == 0
    assert "gives no names" in result.stderr
    assert "No such file or directory" in result.stderr


def test_a_baseline_gives_names_to_rows_that_have_none(run, tmp_path):
    columns = {"age": list(map(float, range(50))), "debt": [1.5, 2.5] * 25}
    (tmp_path / "b.json").write_text(encode(learn("other", columns)), encoding="utf-8")
    text = CONFIG.replace('9002"}', '9002", baseline: b.json}')
    (tmp_path / "sidecar.yaml").write_text(text, encoding="utf-8")

    result = run("--model", "other", request=b'{"instances": [[1, 2]]}')

    assert [line.split("\t")[0] for line in result.stdout.splitlines()[-2:]] == ["age", "debt"]


def test_many_rows_are_cut_and_long_values_too(run):
    request = json.dumps({"instances": [["x" * 100]] * 10}).encode()

    lines = run("--codec", "kserve-v1", request=request).stdout.splitlines()

    assert lines[1] == "rows      10, 3 shown"
    assert lines[-1].split("\t")[2:] == ["x" * 57 + "..."] * 3
