"""docs/logging.md says of sinks and delivery what they do."""

import re
from pathlib import Path

import pytest

from sidecar.config.load import load
from sidecar.delivery import Outcome, PumpPolicy
from sidecar.delivery.pump import CHUNK_RECORDS
from sidecar.delivery.retries import FAILURES_THAT_OPEN, LONGEST_RETRY_AFTER_S
from sidecar.delivery.sinks import Surroundings, sink_for
from sidecar.delivery.sinks.cloudevents import REQUEST_TYPE
from sidecar.delivery.sinks.http import REFUSALS
from sidecar.delivery.sinks.rotation import files_in

PAGE = (Path(__file__).parents[3] / "docs" / "logging.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
SINKS, DELIVERY = SECTIONS["Sinks"], SECTIONS["Delivery: at least once"]
BASE = """\
models:
  stable: {url: "http://127.0.0.1:9000"}
routes:
  - {name: iris, primary: stable}
"""


async def test_its_sinks_can_be_configured_as_they_stand(tmp_path):
    example, *_ = re.findall(r"```yaml\n(.*?)```", SINKS, re.DOTALL)
    file = tmp_path / "sidecar.yaml"
    (tmp_path / "token").write_text("secret")
    file.write_text(BASE + example.replace("/run/secrets/events", str(tmp_path / "token")))
    loaded = load(file, {"EVENTS_URL": "http://127.0.0.1:1/"})
    surroundings = Surroundings(environ={}, wall_ns=lambda: 0, chance=lambda: 0.5)
    assert [settings.type for settings in loaded.settings.sinks] == ["jsonl", "http"]
    for settings in loaded.settings.sinks:
        await sink_for(settings, surroundings).close()


def test_the_answers_that_refuse_are_those_it_names():
    (named,) = re.findall(r"^\| ([\d, ]+) \| refused", SINKS, re.MULTILINE)
    assert {int(status) for status in named.split(", ")} == REFUSALS


def test_names_of_files_are_such_as_it_shows(tmp_path):
    shown = re.findall(r"^ {4}log/(\S+)$", SINKS, re.MULTILINE)
    for name in shown:
        (tmp_path / name).touch()
    assert {file.path.name for file in files_in(tmp_path)} == set(shown)


def test_types_of_events_are_those_it_names():
    assert f"`{REQUEST_TYPE}`" in SINKS


@pytest.mark.parametrize(
    "said",
    [
        f"{FAILURES_THAT_OPEN} failures in a row",
        f"under way {PumpPolicy().grace_s:g} second",
        f"portions of {CHUNK_RECORDS} records",
        *(f"{outcome.value}" for outcome in Outcome),
    ],
)
def test_figures_and_names_are_those_of_the_code(said):
    assert said in DELIVERY


def test_the_patience_with_retry_after_is_as_it_says():
    assert f"up to {LONGEST_RETRY_AFTER_S / 60:g} minutes" in SINKS
