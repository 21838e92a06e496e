"""What is learned of traffic where there is no baseline: never refused, marked provisional."""

import numpy as np
import pytest

from sidecar.baseline import decode, encode, provisional
from sidecar.model import ColumnKind


def rows(n=300):
    rng = np.random.default_rng(0)
    return [[float(value), "ab"[place % 2]] for place, value in enumerate(rng.normal(size=n))]


def test_rows_predictions_scores_and_segments_are_learned():
    n = 300
    scores = np.linspace(0, 1, n).tolist()
    made = provisional(
        "stable",
        ("age", "kind"),
        rows(n),
        [score > 0.5 for score in scores],
        scores,
        {"region": ["north", None, "south"] * (n // 3)},
        segment_values={"region": 1},
    )

    assert made.provisional
    assert made.features == ("age", "kind")
    assert [column.name for column in made.columns[2:]] == ["prediction", "score", "confidence"]
    assert made.positive == "true"
    assert made.segments[0].name == "region"
    assert made.segments[0].values == ("north",)
    assert made.segments[0].rows == (100, 200)
    assert decode(encode(made)) == made


def test_features_may_have_the_names_of_answers_and_segments():
    n = 60
    made = provisional(
        "m",
        ("score", "prediction", "region"),
        [[float(row), 1.5 * row, "x"] for row in range(n)],
        ["yes", "no"] * 30,
        [0.5] * n,
        {"region": ["north"] * n, "score": ["s"] * n},
    )

    assert made.features == ("score", "prediction", "region")
    assert [segment.name for segment in made.segments] == ["region", "score"]
    assert made.segments[0].values == ("north",)


def test_listed_values_of_a_segment_are_told_apart_though_none_came():
    made = provisional(
        "m", ("a",), [[1.5]] * 9, segments={"g": [None] * 9}, segment_values={"g": ("x", "y")}
    )
    assert made.segments[0].values == ("x", "y")
    assert made.segments[0].rows == (0, 0, 9)


@pytest.mark.parametrize(
    "values",
    [
        [None] * 100,
        [float("inf")] * 100,
        ["text", 1.5] * 50,
        [True, 7.5] * 50,
        [10**400] * 100,
        ["x" * 1000] * 100,
        [1e308, -1e308] * 50,
        [float("nan")] * 100,
    ],
)
def test_nothing_that_clients_may_send_is_refused(values):
    made = provisional("m", ("x",), [[value] for value in values], values, values, {"g": values})
    assert made.rows == 100
    assert decode(encode(made)) == made


def test_without_rows_there_are_no_columns():
    made = provisional("m", ("x",), [])
    assert (made.rows, made.columns) == (0, ())


def test_numbers_that_come_as_texts_now_and_then_stay_numbers():
    made = provisional("m", ("x",), [[1.5 * row] for row in range(90)] + [["oops"]] * 10)
    assert made.columns[0].kind is ColumnKind.NUMERIC
    assert made.distribution("x").missing == 10


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="2 values of score for 3 rows"):
        provisional("m", ("x",), [[1.0]] * 3, scores=[0.5, 0.5])


def test_a_hundred_thousand_rows_are_learned_at_once():
    values = np.random.default_rng(0).normal(size=(100_000, 2)).tolist()
    assert provisional("m", ("a", "b"), values).rows == 100_000
