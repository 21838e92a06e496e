"""Figures of performance against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from sidecar.baseline.performance import CLASSES_AT_MOST, classification, regression
from sidecar.baseline.records import Method, Task


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def binary():
    """2,000 targets, scores that know something of them, and the predictions they lead to."""
    draw = rng(5)
    targets = draw.integers(0, 2, 2000)
    scores = np.clip(np.round(draw.normal(0.4 + 0.2 * targets, 0.2), 3), 0, 1)
    return targets, scores, (scores > 0.5).astype(int)


def test_figures_of_two_classes_are_those_of_scikit_learn(binary):
    targets, scores, predictions = binary
    found = classification(targets.tolist(), predictions.tolist(), scores, positive="1", rng=rng())

    assert (found.task, found.rows, found.positive) == (Task.CLASSIFICATION, 2000, "1")
    assert {name: figure.value for name, figure in found.figures.items()} == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(targets, predictions),
            "precision": metrics.precision_score(targets, predictions),
            "recall": metrics.recall_score(targets, predictions),
            "f1": metrics.f1_score(targets, predictions),
            "auc": metrics.roc_auc_score(targets, scores),
        }
    )
    for name, figure in found.figures.items():
        wilson = name in {"accuracy", "precision", "recall"}
        assert figure.method is (Method.WILSON if wilson else Method.BOOTSTRAP)
        assert figure.low < figure.value < figure.high


def test_each_proportion_says_how_many_rows_it_is_of(binary):
    targets, _, predictions = binary
    found = classification(targets.tolist(), predictions.tolist(), None, positive="1", rng=rng())

    assert found.figures["precision"].n == predictions.sum()
    assert found.figures["recall"].n == targets.sum()


def test_the_interval_of_the_auc_is_near_that_of_hanley_and_mcneil(binary):
    targets, scores, _ = binary
    found = classification(targets.tolist(), None, scores, positive="1", rng=rng()).figures["auc"]
    a, positives = found.value, targets.sum()
    negatives = len(targets) - positives
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    variance = (a * (1 - a) + (positives - 1) * (q1 - a * a) + (negatives - 1) * (q2 - a * a)) / (
        positives * negatives
    )

    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(variance), rel=0.15)


def test_the_confusion_is_that_of_scikit_learn(binary):
    targets, _, predictions = binary
    found = classification(targets.tolist(), predictions.tolist(), None, positive="1", rng=rng())

    assert found.confusion.labels == ("0", "1")
    assert np.array_equal(found.confusion.counts, metrics.confusion_matrix(targets, predictions))


def test_calibration_says_how_many_were_positive_where_the_score_said_so(binary):
    targets, scores, _ = binary
    found = classification(targets.tolist(), None, scores, positive="1", rng=rng()).calibration

    assert sum(part.n for part in found) == 2000
    for part in found:
        last = part.high == 1.0
        inside = (scores >= part.low) & ((scores < part.high) | last)
        assert part.n == inside.sum()
        assert part.positive_share == pytest.approx(targets[inside].mean())
        assert part.mean_score == pytest.approx(scores[inside].mean())


def test_scores_that_are_no_probabilities_have_an_auc_and_no_calibration(binary):
    targets, scores, _ = binary
    found = classification(targets.tolist(), None, 10 * scores, positive="1", rng=rng())

    assert found.figures["auc"].value == pytest.approx(metrics.roc_auc_score(targets, scores))
    assert found.calibration == ()


def test_figures_of_more_classes_are_means_over_the_classes():
    draw = rng(2)
    targets = draw.choice(list("abc"), 600)
    predictions = np.where(draw.random(600) < 0.7, targets, draw.choice(list("abd"), 600))
    found = classification(targets.tolist(), predictions.tolist(), None, positive=None, rng=rng())
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        targets, predictions, average="macro", zero_division=0
    )

    assert {name: figure.value for name, figure in found.figures.items()} == pytest.approx(
        {
            "accuracy": (targets == predictions).mean(),
            "precision_macro": precision,
            "recall_macro": recall,
            "f1_macro": f1,
        }
    )


def test_of_very_many_classes_only_the_accuracy_is_given():
    names = [f"class {place}" for place in range(CLASSES_AT_MOST + 1)] * 3
    found = classification(names, names, None, positive=None, rng=rng())

    assert set(found.figures) == {"accuracy"}
    assert found.confusion is None


def test_rows_without_target_or_prediction_are_left_out():
    targets = ["a", None, "b", "a", float("nan")]
    found = classification(targets, ["a", "a", None, "b", "a"], None, positive="a", rng=rng())
    assert found.rows == 2
    assert found.figures["accuracy"].value == 0.5


def test_labels_are_compared_by_their_category():
    found = classification([1, True, 0.0], ["1", "True", 0], None, positive="1", rng=rng())
    assert found.figures["accuracy"].value == 1.0


def test_a_class_that_is_never_predicted_has_no_precision():
    found = classification(["a", "b"] * 5, ["b"] * 10, None, positive="a", rng=rng())
    assert "precision" not in found.figures
    assert found.figures["recall"].value == 0.0


def test_with_one_class_only_there_is_no_auc():
    found = classification([1] * 9, [1] * 9, np.linspace(0, 1, 9), positive="1", rng=rng())
    assert "auc" not in found.figures


def test_nothing_in_common_is_no_performance():
    assert classification([None], ["a"], None, positive=None, rng=rng()) is None
    assert regression(np.array([np.nan]), np.array([1.0]), rng=rng()) is None


def test_figures_of_a_regression_are_those_of_scikit_learn():
    draw = rng(3)
    targets = 1e6 + draw.normal(0, 5, 1500)
    predictions = targets + draw.normal(1, 2, 1500)
    missing = np.concatenate([[np.nan, 1.0, np.inf], targets])
    found = regression(missing, np.concatenate([[1.0, np.nan, 2.0], predictions]), rng=rng())

    assert (found.task, found.rows) == (Task.REGRESSION, 1500)
    assert {name: figure.value for name, figure in found.figures.items()} == pytest.approx(
        {
            "mae": metrics.mean_absolute_error(targets, predictions),
            "rmse": metrics.root_mean_squared_error(targets, predictions),
            "r2": metrics.r2_score(targets, predictions),
        }
    )
    for figure in found.figures.values():
        assert figure.low < figure.value < figure.high
