"""Drift in the words of Prometheus: one series for every comparison, and bounds that hold."""

import dataclasses
import json
import re
import shutil
import subprocess

import pytest
from harness.documented import documented, queries, shown
from harness.drift_world import DriftWorld, rows
from prometheus_client import CollectorRegistry, generate_latest

from sidecar.admin.drift_metrics import MOST_FEATURES, DriftMetrics
from sidecar.baseline import learn
from sidecar.baseline.roles import Roles
from sidecar.control.drift import Round
from sidecar.model import ColumnKind, ColumnPart, Role
from sidecar.sketch import Column

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed"
)
ROLES = Roles(prediction="prediction", score="score", segments=("region",))


def with_region(values):
    count = len(values["x0"])
    return {**values, "region": (["eu", "us"] * (count // 2))}


@pytest.fixture(scope="module")
def baseline():
    return learn("stable", with_region(rows(50_000, seed=1)), ROLES)


@pytest.fixture
def world(tmp_path, baseline):
    world = DriftWorld(tmp_path, baseline=baseline, segments={"region": ("eu", "us")})
    world.pass_rows(with_region(rows(6_000, seed=2, shift=1.0)))
    world.judged()
    return world


def samples(newest):
    """Value by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in DriftMetrics(lambda: newest).collect()
        for sample in family.samples
    }


def of(found, name, **labels):
    return found.get((name, frozenset(labels.items())))


MODEL = {"route": "iris", "model": "stable"}


def test_before_the_first_round_there_is_only_that_there_was_none():
    found = samples(Round())
    assert of(found, "sidecar_drift_judged_timestamp_seconds") == 0
    assert not [name for name, _ in found if "verdict" in name]


def test_every_column_window_and_reference_has_a_verdict(world):
    found = samples(world.watch.round)
    verdicts = {
        tuple(dict(labels)[key] for key in ("feature", "window", "reference")): value
        for (name, labels), value in found.items()
        if name == "sidecar_drift_verdict"
    }
    columns = {"x0", "x1", "x2", "plan", "region", "prediction", "score", "confidence"}
    assert set(verdicts) == {
        (column, window, reference)
        for column in columns
        for window in ("5m", "1h")
        for reference in ("baseline", "previous", "day", "week")
    }
    assert verdicts["x0", "5m", "baseline"] == 2
    assert verdicts["x1", "5m", "baseline"] == 0
    assert verdicts["x0", "1h", "baseline"] == -1


def test_a_psi_is_there_only_where_there_is_one(world):
    found = samples(world.watch.round)
    column = {**MODEL, "feature": "x0", "reference": "baseline"}
    assert of(found, "sidecar_drift_psi", **column, window="5m") > 0.5
    assert of(found, "sidecar_drift_psi", **column, window="1h") is None


def test_figures_of_a_window_need_no_reference(world):
    found = samples(world.watch.round)
    window = {**MODEL, "window": "5m"}
    assert of(found, "sidecar_drift_window_rows", **window) == 6_000
    assert of(found, "sidecar_positive_rate", **window) == pytest.approx(0.3, abs=0.02)
    assert of(found, "sidecar_confidence_mean", **window) == pytest.approx(0.75, abs=0.02)
    assert of(found, "sidecar_drift_missing_share", **window, feature="x1") == 0


def test_findings_are_there_at_zero_before_they_are_found(world):
    found = samples(world.watch.round)
    for finding in ("seasonal", "compound", "model_drift", "missing"):
        assert of(found, "sidecar_drift_findings", **MODEL, window="5m", finding=finding) == 0


def test_segments_say_how_many_columns_drifted_in_them(world):
    found = samples(world.watch.round)
    labels = {**MODEL, "segment": "region", "reference": "baseline", "window": "5m"}
    assert of(found, "sidecar_drift_segment_alarms", **labels, value="eu") == 1
    assert of(found, "sidecar_drift_segment_alarms", **labels, value="other") == 0


def test_a_model_that_answers_and_is_a_shadow_too_has_one_series(world, baseline):
    world.add(baseline, role=Role.SHADOW)
    found = samples(world.judged())
    labels = {**MODEL, "feature": "x0", "reference": "baseline", "window": "5m"}
    assert of(found, "sidecar_drift_verdict", **labels) == 2
    left_out = {reason: of(found, "sidecar_drift_left_out_columns", **MODEL, reason=reason)
                for reason in ("features", "role")}  # fmt: skip
    assert left_out == {"features": 0, "role": 8}


def test_features_beyond_the_most_are_left_out_and_counted_but_no_outputs(world):
    (watch,) = world.watch.round.watches

    def column(name, part):
        return Column(name=name, part=part, kind=ColumnKind.CATEGORICAL, categories=("a",))

    many = [column(f"f{n}", ColumnPart.FEATURE) for n in range(MOST_FEATURES + 7)]
    outputs = [column("f0", ColumnPart.PREDICTION), column("score", ColumnPart.SCORE)]
    wide = dataclasses.replace(watch, columns=(*many, *outputs))
    found = samples(dataclasses.replace(world.watch.round, watches=(wide,)))
    features = {
        dict(labels)["feature"] for name, labels in found if name == "sidecar_drift_verdict"
    }
    assert len(features) == MOST_FEATURES + 2
    assert {"prediction:f0", "score"} <= features
    assert of(found, "sidecar_drift_left_out_columns", **MODEL, reason="features") == 7


def test_who_wants_other_families_is_spared_the_many(world):
    families = DriftMetrics(lambda: world.watch.round).families({"sidecar_positive_rate"})
    names = {family.name for family in families}
    assert "sidecar_positive_rate" in names
    assert "sidecar_drift_verdict" not in names


def test_the_documentation_names_every_metric_with_its_type_and_labels(world):
    assert documented("Drift") == shown(DriftMetrics(lambda: world.watch.round).collect())


@needs_promtool
def test_the_queries_in_the_documentation_are_promql_over_metrics_that_exist(world, tmp_path):
    written = queries("Drift")
    rules = [{"record": f"query:{n}", "expr": query} for n, query in enumerate(written)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "docs", "rules": rules}]}))
    checked = subprocess.run(
        ["promtool", "check", "rules", tmp_path / "rules.yml"],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    there = {name for name, _ in samples(world.watch.round)}
    assert set(re.findall(r"\bsidecar_\w+", " ".join(written))) <= there


@needs_promtool
def test_promtool_finds_nothing_to_complain_about(world):
    registry = CollectorRegistry(auto_describe=False)
    registry.register(DriftMetrics(lambda: world.watch.round))
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=generate_latest(registry), capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
