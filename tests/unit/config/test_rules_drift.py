"""Rules about `drift`: each broken once, with the path and the sentence it gives."""

import pytest

from sidecar.config.monitoring import MonitorSettings
from sidecar.config.rules.drift import examine_drift
from sidecar.config.settings import ModelSettings, RouteSettings, Settings

BASE = """\
models:
  stable: {url: "http://127.0.0.1:9000"}
routes:
  - {name: iris, primary: stable}
"""


def drift(keys: str) -> str:
    """One route with this `drift` section."""
    return f"{BASE}drift: {{{keys}}}\n"


def test_the_defaults_have_nothing_to_remark(load_text):
    assert load_text(BASE).remarks == ()


@pytest.mark.parametrize(
    ("text", "path", "sentence"),
    [
        (drift("interval: 0s"), "$.drift.interval", "expected more than 0s"),
        (drift("windows: []"), "$.drift.windows", "expected at least one length"),
        (
            drift("interval: 60s, windows: [90s]"),
            "$.drift.windows[0]",
            "expected at least 2m, 2 times `drift.interval`, found 90s",
        ),
        (
            drift("windows: [1h, 1h]"),
            "$.drift.windows[1]",
            "expected more than 1h: windows rise, found 1h",
        ),
        (
            drift("references: ['last week']"),
            "$.drift.references[0]",
            '`week` or the name of a snapshot (letters, digits, `.`, `_`, `-`), found "last week"',
        ),
        (
            drift("references: [now]"),
            "$.drift.references[0]",
            '`week` or the name of a snapshot (letters, digits, `.`, `_`, `-`), found "now"',
        ),
        (
            drift("references: [baseline, day, baseline]"),
            "$.drift.references[2]",
            "expected each reference once, found that of $.drift.references[0]",
        ),
        (
            drift("thresholds: {drift: 0.3}"),
            "$.drift.thresholds.major",
            "expected more than `drift` (0.3), found 0.25",
        ),
        (
            drift("features: {age: {drift: 0.4}}"),
            "$.drift.features.age.major",
            "expected more than `drift` (0.4), found 0.25",
        ),
        (
            drift("windows: [5m, 1h], entity: {from: {header: x-user}, per: 2h}"),
            "$.drift.entity.per",
            "expected at most 1h, the longest window, found 2h",
        ),
        (
            drift("windows: [5m], entity: {from: {header: x-user}, per: 0s}"),
            "$.drift.entity.per",
            "expected more than 0s",
        ),
        (drift("history: 0B"), "$.drift.history", "expected more than 0B, found 0B"),
        (
            BASE + "monitor: {learn_rows: 400}",
            "$.monitor.learn_rows",
            "at least `drift.thresholds.minimum` (500), while models without a baseline (stable)",
        ),
    ],
)
def test_a_broken_rule_names_its_key(problems_of, text, path, sentence):
    found = {problem.path: problem.text for problem in problems_of(text)}

    assert set(found) == {path}
    assert sentence in found[path]


@pytest.mark.parametrize(
    ("text", "path", "sentence"),
    [
        (
            drift("references: [basline]"),
            "$.drift.references[0]",
            "taken as the name of a snapshot; did you mean `baseline`?",
        ),
        (
            drift("windows: [5m, 2d]"),
            "$.drift.references",
            "a window of 2d overlaps the one a day before",
        ),
        (
            drift("features: {age: {ignore: true, drift: 0.2}}"),
            "$.drift.features.age",
            "without effect",
        ),
        (
            drift("windows: [5m, 1h], entity: {from: {header: x-user}, per: 1h}"),
            "$.drift.entity.per",
            "windows shorter than 1h count an entity only when it comes for the first time",
        ),
        (
            drift("windows: [5m, 1h], entity: {from: {header: x-user}}"),
            "$.drift.entity",
            "a window of 1h counts an entity up to 12 times; it is judged from 6,000 rows on",
        ),
        (
            BASE + "monitor: {enabled: false}\ndrift: {windows: [5m]}",
            "$.drift",
            "no effect: `monitor.enabled` is false",
        ),
    ],
)
def test_what_is_likely_meant_otherwise_is_remarked(load_text, text, path, sentence):
    (remark,) = load_text(text).remarks

    assert remark.path == path
    assert sentence in remark.text


def test_a_small_sample_may_be_learned_where_every_model_has_a_baseline():
    settings = Settings(
        models={"stable": ModelSettings(url="http://m:1", baseline="b.json")},
        routes=(RouteSettings(name="iris", primary="stable"),),
        monitor=MonitorSettings(learn_rows=400),
    )

    assert list(examine_drift(settings)) == []
