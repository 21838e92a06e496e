"""docs/logging.md: its examples load, and do what it says."""

import re
from pathlib import Path

import pytest

from sidecar.config.load import load
from sidecar.payload import Body
from sidecar.records import Redactor, Withheld
from sidecar.records.redaction import LONGEST_PARSED_BYTES

PAGE = (Path(__file__).parents[3] / "docs" / "logging.md").read_text(encoding="utf-8")
MODELS = """
models: {stable: {url: "http://127.0.0.1:9000"}, next: {url: "http://127.0.0.1:9001"}}
"""
ROUTES = "routes: [{name: all, primary: stable, shadows: [{model: next}]}]\n"


def example(title: str) -> str:
    """The first YAML block below a heading."""
    below = PAGE.partition(f"\n## {title}\n")[2]
    return re.search(r"```yaml\n(.*?)```", below, re.DOTALL)[1]


@pytest.fixture
def loaded(tmp_path):
    """Settings of a text, with the key that it names."""

    def loaded(text: str):
        (tmp_path / "key").write_text("0123456789abcdef0123456789abcdef")
        file = tmp_path / "sidecar.yaml"
        file.write_text(text.replace("/run/secrets/redaction-key", "key"), encoding="utf-8")
        return load(file, {}).settings

    return loaded


def test_the_example_of_capture_is_valid(loaded):
    capture = loaded(MODELS + example("Capture")).routes[0].capture

    assert (capture.bodies, capture.models, capture.max_body) == (0.01, {"next": 0.1}, 65536)


def test_the_example_of_redaction_hides_what_it_says(loaded):
    redact = loaded(MODELS + ROUTES + example("Redaction")).redact
    redactor = Redactor(redact.rules, b"k" * 32)

    kept = redactor.request_body(
        Body(
            b'{"user":{"email":"S"},"messages":[{"content":"S"}],'
            b'"instances":[{"ssn":"S","salary":"S","age":3}]}'
        ),
        1000,
    )

    assert b'"S"' not in kept.data
    assert kept.data.count(b"***") == 2
    assert b"email" not in kept.data
    assert b'"age":3' in kept.data
    assert redactor.headers([("X-Customer", "S")]) == (("X-Customer", "***"),)
    assert redactor.query("email=S") == "email=***"


def test_every_reason_is_explained():
    table = PAGE.partition("**A doubt is a secret.**")[2].partition("So bodies")[0]

    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [
        reason.value for reason in Withheld
    ]
    assert LONGEST_PARSED_BYTES == 1 << 20
    assert "more than 1 MiB" in table
