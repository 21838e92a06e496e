"""The demo's baselines: what a user would make of the same rows with `sidecar baseline build`."""

import csv

import pytest

from sidecar.baseline import decode
from sidecar.demo import baselines
from sidecar.demo.dataset import FEATURES
from sidecar.demo.training import THRESHOLD, columns_of, held_out, train


@pytest.fixture(scope="module")
def built(loans, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built") / "baselines"
    model, kept = train("trial", loans).model, held_out(loans)
    return model, kept, baselines.build("trial", model, kept, folder)


def test_a_baseline_has_every_input_and_what_the_model_said_of_it(built):
    _, kept, path = built
    baseline = decode(path.read_text(encoding="utf-8"))
    names = {column.name for column in baseline.columns}
    assert names >= {*(feature.name for feature in FEATURES), "prediction", "score"}
    assert baseline.rows == len(kept.rows)
    assert not baseline.provisional


def test_its_table_holds_the_rows_with_the_answers_of_this_model(built):
    model, kept, path = built
    with path.with_suffix(".csv").open(encoding="utf-8", newline="") as stream:
        table = list(csv.DictReader(stream))
    scores = model.predict(columns_of(kept))
    assert [float(row["score"]) for row in table] == pytest.approx(list(scores))
    assert [row["prediction"] == "1" for row in table] == [s >= THRESHOLD for s in scores]
    assert [row["repaid"] == "1" for row in table] == list(kept.repaid)
    assert [row["salary_range"] for row in table] == [row["salary_range"] for row in kept.rows]
