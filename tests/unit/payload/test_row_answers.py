"""Many answers to single rows are read as each one is alone."""

import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sidecar.payload import Body, Inputs, PayloadSettings, Undecodable, codec_for
from sidecar.payload.answers import Answers
from sidecar.payload.row_answers import joined, read_rows

ROW = Inputs(("a",), [[1.0]])
SETTINGS = (
    PayloadSettings(),
    PayloadSettings(labels=("no", "yes")),
    PayloadSettings(labels=("no", "yes"), positive="no"),
    PayloadSettings(labels=("a", "b", "c"), positive="2"),
)
WIDTHS = [(0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (2, 0), (3, 0), (2, 2)]
SHARES = st.floats(0.0, 1.0) | st.sampled_from([0.5, 0.0, 1.0, 1, 0])
NUMBERS = SHARES | st.floats(-1e9, 1e9) | st.integers(-5, 5)


@st.composite
def answers(draw):
    """Answers with the same number of values in prediction and score."""
    values, classes = draw(st.sampled_from(WIDTHS))
    count = draw(st.integers(1, 6))
    made = []
    for _ in range(count):
        prediction = draw(st.lists(NUMBERS, min_size=values, max_size=values))
        if values > 1 and draw(st.booleans()):
            total = sum(map(abs, prediction)) or 1.0
            prediction = [abs(value) / total for value in prediction]
        made.append((prediction, draw(st.lists(NUMBERS, min_size=classes, max_size=classes))))
    return made


def alone(settings, prediction, score):
    """What a codec makes of such an answer; None when it cannot be read."""
    outputs = [("predict", prediction), ("predict_proba", score)]
    tensors = [
        {"name": name, "shape": [1, len(data)], "datatype": "FP64", "data": data}
        for name, data in outputs
        if data
    ]
    body = json.dumps({"outputs": tensors}).encode()
    try:
        return codec_for(settings, max_bytes=1 << 20).read_response(
            Body(body, b"/v2/models/m/infer"), ROW
        )
    except Undecodable:
        return None


@given(made=answers(), settings=st.sampled_from(SETTINGS))
def test_every_answer_says_what_it_says_alone(made, settings):
    prediction, score = (
        np.array([one[side] for one in made], dtype=np.float64).reshape(len(made), -1)
        for side in (0, 1)
    )
    said, readable = read_rows(Answers(settings), prediction, score)
    for at, one in enumerate(made):
        expected = alone(settings, *one)
        if readable is not None and not readable[at]:
            if expected is not None:  # only who is at the tolerance is left to the other way
                assert math.isclose(abs(sum(one[0]) - 1.0), 0.01, abs_tol=1e-8)
            continue
        assert expected is not None
        found = said.outputs(at)
        for which in ("predictions", "scores", "confidences"):
            assert list(getattr(found, which)) == list(getattr(expected, which))
        if said.complete:
            assert found.predictions


def test_texts_are_the_labels_of_predictions_that_stand_for_them():
    said, _ = read_rows(
        Answers(PayloadSettings()), np.array([[1.0], [0.0]]), np.empty((2, 0)), ("no", "yes")
    )
    assert [said.outputs(at).predictions for at in range(2)] == [["yes"], ["no"]]


def test_answers_that_were_read_apart_are_joined_in_order_and_picked():
    one, other = (
        read_rows(Answers(PayloadSettings()), np.array([[value]]), np.array([[value, 1 - value]]))[
            0
        ]
        for value in (0.25, 0.75)
    )
    both = joined([one, other]).of(np.array([1, 0, 1]))
    assert both.predictions.tolist() == [0.75, 0.25, 0.75]
    assert both.confidences.tolist() == [0.75] * 3
    assert joined([one]) is one
