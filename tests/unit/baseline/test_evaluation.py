"""Performance and business figures from a survey, and what is refused."""

import numpy as np
import pytest

from sidecar.baseline.evaluation import business_of, performance_of
from sidecar.baseline.records import Method, Task
from sidecar.baseline.roles import Chunk, Roles
from sidecar.baseline.survey import Survey
from sidecar.errors import ConfigError

N = 400
AMOUNTS = np.random.default_rng(0).normal(100.0, 5.0, N)
LABELS = ["no", "yes", "yes", "no"] * 100
SCORES = np.random.default_rng(1).random(N)


def surveyed(columns, **roles):
    survey = Survey(Roles(**roles))
    survey.add(Chunk(1, N, columns))
    return survey


def test_labels_make_a_classification_and_amounts_a_regression():
    labels = surveyed({"t": LABELS, "p": LABELS}, target="t", prediction="p")
    amounts = surveyed({"t": AMOUNTS, "p": AMOUNTS + 1}, target="t", prediction="p")

    assert performance_of(labels, "yes").task is Task.CLASSIFICATION
    found = performance_of(amounts, None)
    assert found.task is Task.REGRESSION
    assert found.figures["mae"].value == pytest.approx(1.0)


def test_scores_alone_can_be_judged():
    found = performance_of(surveyed({"t": LABELS, "s": SCORES}, target="t", score="s"), "yes")
    assert set(found.figures) == {"auc"}


@pytest.mark.parametrize("roles", [{}, {"target": "t"}, {"prediction": "p"}])
def test_without_both_sides_there_is_no_performance(roles):
    assert performance_of(surveyed({"t": LABELS, "p": LABELS}, **roles), None) is None


def test_an_empty_target_is_refused():
    with pytest.raises(ConfigError, match="the target is empty") as refused:
        performance_of(surveyed({"t": [None] * N, "p": LABELS}, target="t", prediction="p"), None)
    assert refused.value.path == "t"


def test_probabilities_as_predictions_are_refused_with_what_they_are():
    with pytest.raises(ConfigError, match="are they probabilities\\? --score p"):
        performance_of(surveyed({"t": LABELS, "p": SCORES}, target="t", prediction="p"), None)


def test_an_amount_has_no_class_to_compare():
    with pytest.raises(ConfigError, match="the target is an amount"):
        performance_of(surveyed({"t": AMOUNTS, "p": LABELS}, target="t", prediction="p"), None)


def test_labels_that_never_meet_are_refused():
    zeros = [0.0, 1.0] * 200
    with pytest.raises(ConfigError, match=r"predictions \(0, 1\) and targets \(no, yes\)"):
        performance_of(
            surveyed({"t": LABELS, "p": np.array(zeros)}, target="t", prediction="p"), None
        )


def test_business_figures_are_sums_of_all_rows_and_means_with_intervals():
    revenue = np.where(np.arange(N) % 4 == 0, np.nan, AMOUNTS)
    bought = [value > 100 for value in AMOUNTS]
    found = business_of(
        surveyed({"revenue": revenue, "bought": bought}, business=("revenue", "bought"))
    )

    assert (found["revenue"].n, found["revenue"].missing) == (300, 100)
    assert found["revenue"].total == pytest.approx(np.nansum(revenue))
    assert found["revenue"].mean.value == pytest.approx(np.nanmean(revenue))
    assert found["revenue"].mean.method is Method.BOOTSTRAP
    assert found["bought"].mean.value == np.mean(bought)
    assert found["bought"].mean.method is Method.WILSON


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([None] * N, "no row has a number"),
        (["much", 1.0] * 200, "row 1 has 'much'"),
        ([1e308] * N, "no finite number"),
    ],
)
def test_business_figures_are_numbers(values, reason):
    with pytest.raises(ConfigError, match=reason) as refused:
        business_of(surveyed({"b": values}, business=("b",)))
    assert refused.value.path == "b"
