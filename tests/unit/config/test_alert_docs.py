"""docs/alerts.md: its examples are valid, its tables complete."""

import json
import re
from pathlib import Path

import pytest
import yaml

from sidecar.config.alerting import AlertSettings, Signal
from sidecar.config.placeholders import PLACEHOLDERS
from sidecar.config.signals import SIGNALS
from sidecar.config.units import parse_duration

PAGE = (Path(__file__).parents[3] / "docs" / "alerts.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
BASE = """\
models:
  stable: {url: "http://127.0.0.1:9000"}
routes:
  - {name: iris, primary: stable}
"""


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_valid_and_gives_no_cause_for_remarks(load_text, directory, example):
    (directory / "alertmanager.url").write_text("http://127.0.0.1:9093")

    loaded = load_text(BASE + example)

    assert loaded.remarks == ()
    assert loaded.settings.alerts.rules


def test_the_table_of_signals_has_every_signal_with_its_labels():
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (.*?) \| ([^|]*) \|$", PAGE, re.MULTILINE)
    documented = {
        name: (meaning, tuple(re.findall(r"`(\w+)`", labels)))
        for names, meaning, labels in rows
        for name in re.findall(r"`(\w+)`", names)
        if name in set(Signal)
    }

    assert set(documented) == set(Signal)
    for signal, (meaning, labels) in documented.items():
        assert labels == SIGNALS[Signal(signal)].labels
        if not signal.startswith("latency"):
            assert meaning == SIGNALS[Signal(signal)].meaning


def test_every_placeholder_is_named():
    for name in PLACEHOLDERS:
        assert f"`{{{name}}}`" in PAGE


def test_the_document_of_a_webhook_is_json():
    (document,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)

    assert json.loads(document)["version"] == "1"


@pytest.mark.parametrize("key", ["group_wait", "group_interval", "repeat"])
def test_the_times_it_names_are_the_defaults(key):
    shown = re.search(rf"`{key}`\s*\(([^)]*)\)", PAGE)[1].replace(" min", "m").replace(" ", "")

    assert parse_duration(shown) == getattr(AlertSettings(), key)


def test_the_examples_are_read_as_they_stand():
    assert len(EXAMPLES) == 3
    assert all(set(yaml.safe_load(example)) == {"alerts"} for example in EXAMPLES)
