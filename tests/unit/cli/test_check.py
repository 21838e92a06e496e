"""`sidecar check` and `sidecar schema`, run as a person would."""

import json

import jsonschema
import pytest
import typer
from typer.testing import CliRunner

from sidecar.cli import check, schema

VALID = """\
models:
  stable: {url: "http://127.0.0.1:9000"}
  next: {url: "http://127.0.0.1:9001"}
  spare: {url: "http://127.0.0.1:9002"}
routes:
  - name: iris
    match: {host: example.com, path_prefix: /v2, headers: {x-env: s3cret}}
    primary: stable
    canaries: [{model: next, percent: 0.1}]
    shadows: [{model: next, sample: 0.5}]
    capture: {bodies: 0.1}
"""
INVALID = """\
models: {stable: {url: "http://127.0.0.1:9000", timeouts: {connect: 5}}}
routes: [{name: iris, primari: stable}]
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command on a configuration file in the working directory."""
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    check.register(app)
    schema.register(app)

    def run(text: str | None, *arguments: str, **environ: str):
        if text is not None:
            (tmp_path / "sidecar.yaml").write_text(text, encoding="utf-8")
        return CliRunner(env=environ).invoke(app, list(arguments))

    return run


def test_a_valid_file_is_summed_up_on_stdout(run):
    result = run(VALID, "check")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "sidecar.yaml is valid",
        "  listens on  127.0.0.1:8080",
        "  admin       127.0.0.1:9090, without a token",
        "  workers     1",
        "  models      stable, next, spare",
        "  route iris  example.com/v2 [x-env] -> stable 99.9 %, next 0.1 %; shadows next 50 %",
    ]


def test_remarks_go_to_stderr(run):
    result = run(VALID, "check")

    assert result.stderr.splitlines() == [
        "warning: $.models.spare (line 4): no route names this model",
        "note: $.routes[0].capture (line 11): there is no sink: bodies stay in the journal, for 7d",
    ]


def test_header_values_are_not_printed(run):
    assert "s3cret" not in run(VALID, "check").output
    assert "s3cret" not in run(VALID, "check", "--json").output


def test_an_invalid_file_says_everything_that_is_wrong_on_stderr(run):
    result = run(INVALID, "check", "-c", "sidecar.yaml")

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "sidecar.yaml is not valid: 3 problems",
        "",
        "  $.models.stable.timeouts.connect  (line 1)",
        "    expected  a duration such as `500ms`, `30s` or `5m`",
        "    found     5",
        "    fix       write `5s` if it means seconds",
        "",
        "  $.routes[0].primari  (line 2)",
        "    expected  a known key",
        "    found     `primari`",
        "    fix       did you mean `primary`?",
        "",
        "  $.routes[0].primary  (line 2)",
        "    expected  a name: up to 63 letters, digits, `.`, `_` and `-`",
        "    found     nothing",
    ]


def test_one_problem_is_counted_in_the_singular(run):
    assert "1 problem\n" in run(VALID + "workers: 0\n", "check").stderr


def test_the_environment_counts(run):
    result = run(VALID, "check", SIDECAR__WORKERS="many")

    assert result.exit_code == 2
    assert "$.workers  (SIDECAR__WORKERS)" in result.stderr


def test_a_file_that_is_not_there_is_a_problem(run):
    result = run(None, "check", "-c", "nowhere.yaml")

    assert result.exit_code == 2
    assert "nowhere.yaml cannot be read: No such file or directory" in result.stderr


def test_the_machine_form_of_a_valid_file(run):
    result = run(VALID, "check", "--json")

    assert result.exit_code == 0
    assert result.stderr == ""
    assert json.loads(result.stdout) == {
        "file": "sidecar.yaml",
        "valid": True,
        "problems": [],
        "warnings": [
            {"path": "$.models.spare", "text": "no route names this model", "where": "line 4"}
        ],
        "notes": [
            {
                "path": "$.routes[0].capture",
                "text": "there is no sink: bodies stay in the journal, for 7d",
                "where": "line 11",
            }
        ],
        "summary": {
            "listen": ["127.0.0.1:8080"],
            "admin": {"listen": "127.0.0.1:9090", "token": False},
            "workers": 1,
            "models": ["stable", "next", "spare"],
            "routes": [
                {
                    "name": "iris",
                    "primary": "stable",
                    "canaries": {"next": 0.1},
                    "shadows": {"next": 0.5},
                }
            ],
        },
    }


def test_the_machine_form_of_an_invalid_file(run):
    result = run(INVALID, "check", "--json")

    report = json.loads(result.stdout)
    assert result.exit_code == 2
    assert report["valid"] is False
    assert report["summary"] is None
    assert report["problems"][0] == {
        "path": "$.models.stable.timeouts.connect",
        "expected": "a duration such as `500ms`, `30s` or `5m`",
        "found": "5",
        "fix": "write `5s` if it means seconds",
        "where": "line 1",
    }


def test_the_schema_is_printed_as_json(run):
    result = run(None, "schema")

    assert result.exit_code == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(result.stdout))
