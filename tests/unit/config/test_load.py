"""A file and an environment to settings: the stages, the origins of problems, and files named."""

from pathlib import Path

import pytest

from sidecar.config.load import load
from sidecar.config.sinks import JsonlSink
from sidecar.errors import ConfigError
from sidecar.payload import Protocol, Source

# The names that users meet, from the design: this file is valid as it stands.
DESIGN = """\
listen: 127.0.0.1:8080
admin: {listen: 127.0.0.1:9090}          # token_file: ... guards changing calls
workers: 1
state_dir: ./state
models:
  stable: {url: "http://127.0.0.1:9000", baseline: baselines/stable.json}   # baseline optional
  next:   {url: "http://127.0.0.1:9000"}                                     # or urls: [...], unix sockets
  trial:  {url: "http://127.0.0.1:9000"}
routes:
  - name: iris
    match: {path_prefix: /}               # host:, headers: narrow it
    primary: stable
    canaries: [{model: next, percent: 5}]
    sticky: {header: x-user-id}           # or cookie:, client_address: true; optional
    shadows: [{model: trial, sample: 1.0}]
    payload: {codec: open-inference}      # features, predictions, scores; auto-detected when left out
    segments: [{name: region, from: {header: x-region}}]
    capture: {bodies: 0.1}                # share of requests whose bodies are kept
drift: {interval: 60s, windows: [5m, 1h, 24h]}
sinks:
  - {name: files, type: jsonl, path: ./log}
"""  # noqa: E501 - as users see it
LEAST = """\
models: {stable: {url: "http://127.0.0.1:9000"}}
routes: [{name: iris, primary: stable}]
"""


def test_the_file_of_the_design_is_valid_as_it_stands(load_text):
    settings = load_text(DESIGN).settings

    assert settings.routes[0].canaries[0].percent == 5
    assert settings.routes[0].sticky.header == "x-user-id"
    assert settings.routes[0].payload.codec is Protocol.OPEN_INFERENCE
    assert settings.routes[0].segments[0].source == Source(header="x-region")
    assert settings.drift.windows == (300, 3600, 86400)
    assert settings.routes[0].capture.bodies == 0.1
    assert isinstance(settings.sinks[0], JsonlSink)


def test_what_a_person_should_know_of_a_valid_file_is_remarked(load_text):
    remarks = load_text(DESIGN.partition("sinks:")[0]).remarks

    assert [(remark.path, remark.severity, remark.where) for remark in remarks] == [
        ("$.models.stable.baseline", "warning", "line 6"),  # the file is not there
        ("$.routes[0].capture", "note", "line 18"),  # there is no sink
    ]


def test_relative_files_stand_beside_the_configuration(load_text, pem_files):
    (pem_files / "token").write_text("0123456789abcdef")

    settings = load_text(
        """\
        state_dir: run/state
        admin: {token_file: token}
        tls: {cert_file: cert.pem, key_file: key.pem}
        models: {stable: {url: "https://a", tls: {ca_file: cert.pem}}}
        routes: [{name: iris, primary: stable}]
        """
    ).settings

    assert settings.state_dir == str(pem_files / "run/state")
    assert settings.admin.token_file == str(pem_files / "token")
    assert settings.tls.cert_file == str(pem_files / "cert.pem")
    assert settings.tls.client_ca_file is None
    assert settings.models["stable"].tls.ca_file == str(pem_files / "cert.pem")


def test_absolute_files_stay_where_they_are(load_text, directory):
    settings = load_text(LEAST + "state_dir: /var/lib/sidecar").settings

    assert settings.state_dir == "/var/lib/sidecar"


def test_every_file_that_cannot_be_read_is_a_problem(problems_of, directory):
    problems = problems_of(
        """\
        tls: {cert_file: nowhere.pem, key_file: "."}
        admin: {token_file: none}
        models: {v1.2: {url: "https://a", tls: {ca_file: nothing.pem}}}
        routes: [{name: iris, primary: v1.2}]
        """
    )

    assert [str(problem) for problem in problems] == [
        f"{path}: expected a file that can be read, found {directory}{found}"
        for path, found in (
            ("$.tls.cert_file (line 1)", "/nowhere.pem: No such file or directory"),
            ("$.tls.key_file (line 1)", ": Is a directory"),
            ("$.admin.token_file (line 2)", "/none: No such file or directory"),
            ('$.models["v1.2"].tls.ca_file (line 3)', "/nothing.pem: No such file or directory"),
        )
    ]


@pytest.mark.usefixtures("pem_files")
def test_a_certificate_with_its_key_and_authorities_is_accepted(load_text):
    tls = "{cert_file: cert.pem, key_file: key.pem, client_ca_file: cert.pem}"

    assert load_text(LEAST + f"tls: {tls}").remarks == ()


@pytest.mark.usefixtures("pem_files")
@pytest.mark.parametrize(
    ("files", "key"),
    [
        ("cert_file: cert.pem, key_file: other.pem", "cert_file"),
        ("cert_file: key.pem, key_file: key.pem", "cert_file"),
        ("cert_file: cert.pem, key_file: text.pem", "cert_file"),
        ("cert_file: cert.pem, key_file: empty.pem", "cert_file"),
        ("cert_file: cert.pem, key_file: locked.pem", "cert_file"),
        ("cert_file: cert.pem, key_file: key.pem, client_ca_file: text.pem", "client_ca_file"),
    ],
)
def test_tls_files_that_cannot_serve_are_a_problem(problems_of, files, key):
    (problem,) = problems_of(LEAST + f"tls: {{{files}}}")

    assert problem.path == f"$.tls.{key}"
    assert "which OpenSSL refuses" in problem.found


def test_a_token_that_can_be_guessed_is_a_problem_and_is_not_shown(problems_of, directory):
    (directory / "token").write_text("hunter2\n")

    (problem,) = problems_of(LEAST + "admin: {token_file: token}")

    assert problem.path == "$.admin.token_file"
    assert problem.expected == "a token of at least 16 bytes"
    assert "hunter2" not in str(problem)


def test_with_a_token_the_admin_api_may_be_reachable(load_text, directory):
    (directory / "token").write_text("0123456789abcdef")

    loaded = load_text(LEAST + "admin: {listen: '0.0.0.0:9090', token_file: token}")

    assert loaded.remarks == ()


def test_problems_say_the_line_of_the_file(problems_of):
    problems = problems_of(LEAST + "workers: 0\nlimits:\n  header_count: 0\n")

    assert [(problem.path, problem.where) for problem in problems] == [
        ("$.workers", "line 3"),
        ("$.limits.header_count", "line 5"),
    ]


def test_a_missing_key_is_found_at_the_line_of_its_section(problems_of):
    (problem,) = problems_of('models: {stable: {url: "http://a"}}\nroutes:\n- name: iris\n')

    assert (problem.path, problem.where) == ("$.routes[0].primary", "line 3")


def test_problems_of_an_override_say_its_variable(problems_of):
    (problem,) = problems_of(LEAST, SIDECAR__WORKERS="zero")

    assert (problem.path, problem.where) == ("$.workers", "SIDECAR__WORKERS")


def test_a_broken_rule_in_an_override_says_its_variable(problems_of):
    (problem,) = problems_of(LEAST, SIDECAR__ADMIN="{listen: 0.0.0.0:9090}")

    assert (problem.path, problem.where) == ("$.admin.listen", "SIDECAR__ADMIN")


def test_an_override_is_loaded_like_a_key_of_the_file(load_text):
    settings = load_text(LEAST, SIDECAR__MODELS__STABLE__TIMEOUTS__CONNECT="250ms").settings

    assert settings.models["stable"].timeouts.connect == 0.25


def test_broken_rules_and_unreadable_files_are_reported_together(problems_of):
    problems = problems_of(
        """\
        tls: {cert_file: nowhere, key_file: nowhere}
        models: {v1.2: {url: "http://a/path"}}
        routes: [{name: iris, primary: other}]
        """
    )

    assert [problem.path for problem in problems] == [
        "$.tls.cert_file",
        "$.tls.key_file",
        '$.models["v1.2"].url',
        "$.routes[0].primary",
    ]


def test_the_error_carries_the_path_of_the_first_problem_and_counts_the_others(load_text):
    with pytest.raises(ConfigError) as refused:
        load_text(LEAST + "workers: 0\nlog: {level: loud}")

    assert refused.value.path == "$.workers"
    assert str(refused.value) == (
        "$.workers: expected an integer from 1 to 64, found 0 (line 3) "
        "(and 1 more; `sidecar check` lists all)"
    )


def test_a_byte_order_mark_is_no_part_of_the_text(directory):
    file = directory / "bom.yaml"
    file.write_text(LEAST, encoding="utf-8-sig")

    assert load(file, {}).settings.routes[0].name == "iris"


def test_a_file_that_is_not_there_is_a_configuration_error():
    with pytest.raises(ConfigError, match=r"/nowhere\.yaml cannot be read: No such file"):
        load(Path("/nowhere.yaml"), {})


def test_a_file_that_is_not_utf_8_is_a_configuration_error(directory):
    file = directory / "latin.yaml"
    file.write_bytes(b"listen: \xe4")

    with pytest.raises(ConfigError, match="is not UTF-8: byte 8"):
        load(file, {})


def test_an_empty_file_says_what_is_expected(problems_of):
    (problem,) = problems_of("")

    assert problem.text.startswith("expected a mapping, found nothing")
