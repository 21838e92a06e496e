"""Predictions, scores and confidences from named outputs."""

import math

import pytest

from sidecar.payload import Inputs, Outputs, PayloadSettings, Undecodable
from sidecar.payload.answers import PREDICTION_NAMES, SCORE_NAMES, Answers, is_distribution
from sidecar.payload.columns import Column


def read(columns: dict[str, Column], rows: int | None = None, **settings: object) -> Outputs:
    answers = Answers(PayloadSettings(**settings))
    choice = answers.choose(tuple(columns))
    inputs = None if rows is None else Inputs(("a",), [[1]] * rows)
    return answers.read(
        columns.get(choice.prediction or ""), columns.get(choice.score or ""), inputs
    )


def chosen(*names: str, **settings: object) -> tuple[str | None, str | None]:
    choice = Answers(PayloadSettings(**settings)).choose(names)
    return choice.prediction, choice.score


@pytest.mark.parametrize(
    ("names", "settings", "expected"),
    [
        (("anything",), {}, ("anything", None)),
        (("predict", "predict_proba"), {}, ("predict", "predict_proba")),
        (("predict_proba", "predict"), {}, ("predict", "predict_proba")),
        (("output_label", "output_probability"), {}, ("output_label", "output_probability")),
        (("predict_proba",), {}, (None, "predict_proba")),
        (("anything", "scores"), {}, ("anything", "scores")),
        (("label", "predict", "x"), {}, ("predict", None)),
        (("a", "b"), {"prediction": "b"}, ("b", None)),
        (("a", "b"), {"score": "b"}, ("a", "b")),
        (("a", "b"), {"prediction": "a", "score": "b"}, ("a", "b")),
        (("predict", "b"), {"score": "predict"}, ("b", "predict")),
        (("score", "x"), {"prediction": "score"}, ("score", None)),
        (("a", "scores"), {"prediction": "absent"}, (None, "scores")),
    ],
)
def test_settings_choose_first_then_the_usual_names_then_the_only_output(names, settings, expected):
    assert chosen(*names, **settings) == expected


@pytest.mark.parametrize("name", PREDICTION_NAMES)
def test_every_usual_prediction_is_found_among_others(name):
    assert chosen("other", "another", name) == (name, None)


@pytest.mark.parametrize("name", SCORE_NAMES)
def test_every_usual_score_is_found_among_others(name):
    assert chosen("other", "predict", name) == ("predict", name)


@pytest.mark.parametrize(
    ("names", "settings"),
    [(("a", "b"), {}), (("a", "b"), {"prediction": "c"}), ((), {}), (("a",), {"prediction": "c"})],
)
def test_outputs_of_which_none_is_known_are_refused_with_the_fix(names, settings):
    with pytest.raises(Undecodable, match=r"name it in `payload\.prediction`"):
        chosen(*names, **settings)


def test_a_value_per_row_is_the_prediction():
    assert read({"y": Column([1, "a", None, True])}) == Outputs([1, "a", None, True])


def test_of_two_classes_the_last_is_positive():
    outputs = read(
        {"predict": Column([1, 0]), "predict_proba": Column((), [[0.25, 0.75], [0.9, 0.1]])}
    )

    assert outputs == Outputs([1, 0], [0.75, 0.1], [0.75, 0.9])


@pytest.mark.parametrize(
    ("settings", "scores"),
    [
        ({"labels": ("yes", "no"), "positive": "yes"}, [0.25]),
        ({"labels": ("yes", "no"), "positive": "no"}, [0.75]),
        ({"positive": "0"}, [0.25]),
        ({"positive": "7"}, [0.75]),
        ({"positive": "unheard of"}, [0.75]),
        ({"positive": "9" * 5000}, [0.75]),
    ],
)
def test_the_positive_class_may_be_named(settings, scores):
    outputs = read({"probabilities": Column((), [[0.25, 0.75]])}, **settings)

    assert outputs.scores == scores
    assert outputs.confidences == [0.75]


def test_of_more_classes_the_score_is_the_highest_unless_one_is_positive():
    column = {"probabilities": Column((), [[0.5, 0.3, 0.2]])}

    assert read(column).scores == [0.5]
    assert read(column, labels=("a", "b", "c"), positive="b").scores == [0.3]


@pytest.mark.parametrize(
    ("labels", "predictions"),
    [((), [1, 0]), (("no", "yes"), ["yes", "no"]), (("a", "b", "c"), [1, 0])],
)
def test_without_a_prediction_the_most_probable_class_is_it(labels, predictions):
    outputs = read({"predict_proba": Column((), [[0.2, 0.8], [0.6, 0.4]])}, labels=labels)

    assert outputs.predictions == predictions


def test_an_unnamed_distribution_is_probabilities():
    outputs = read({"predictions": Column((), [[0.2, 0.3, 0.5]])})

    assert outputs == Outputs([2], [0.5], [0.5])


def test_vectors_that_are_no_probabilities_are_refused_unless_they_are_called_scores():
    logits = {"dense": Column((), [[-1.0, 3.0]])}

    with pytest.raises(Undecodable, match=r"payload\.score"):
        read(logits)
    assert read(logits, score="dense") == Outputs([1], [3.0], [3.0])


def test_a_value_as_score_is_the_probability_of_the_positive_class():
    outputs = read({"score": Column([0.25, 0.75, None])}, labels=("no", "yes"))

    assert outputs.predictions == ["no", "yes", None]
    assert outputs.scores[:2] == [0.25, 0.75]
    assert outputs.confidences[:2] == [0.75, 0.75]
    assert math.isnan(outputs.scores[2])
    assert math.isnan(outputs.confidences[2])


def test_a_margin_says_nothing_about_confidence():
    assert read({"y": Column([1]), "score": Column([-2.5])}) == Outputs([1], [-2.5])


def test_what_is_no_number_among_probabilities_is_a_missing_score():
    outputs = read({"predict": Column([1, 0]), "scores": Column((), [[0.5, None], [0.5, "x"]])})

    assert outputs.predictions == [1, 0]
    assert all(math.isnan(score) for score in (*outputs.scores, *outputs.confidences))


def test_several_values_in_answer_to_one_row_are_its_vector():
    column = {"predictions": Column([0.2, 0.8])}

    assert read(column, rows=1) == Outputs([1], [0.8], [0.8])
    assert read(column, rows=2) == Outputs([0.2, 0.8])
    assert read(column) == Outputs([0.2, 0.8])


def test_choices_of_hostile_models_are_not_remembered_without_end():
    answers = Answers(PayloadSettings())

    for number in range(1000):
        assert answers.choose((str(number),)).prediction == str(number)

    assert len(answers._choices) == 64


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        ([0.5, 0.5], True),
        ([0.333, 0.333, 0.333], True),
        ([1, 0], True),
        ([1.0], False),
        ([], False),
        ([0.5, 0.6], False),
        ([-0.5, 1.5], False),
        ([0.5, None], False),
        ([True, False], False),
        ([math.inf, 0.0], False),
    ],
)
def test_a_distribution_is_two_probabilities_or_more_that_sum_to_one(vector, expected):
    assert is_distribution(vector) is expected
