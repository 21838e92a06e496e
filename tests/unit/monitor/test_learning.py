"""Rows on their way to the controller: bounded, in chunks of one form, none lost for good."""

import math

import pytest

from sidecar.model import CellKey, Role
from sidecar.monitor.learning import CHUNK_ROWS, LONGEST_TEXT, WIDEST_ROW, Learner
from sidecar.payload import Outputs

KEY = CellKey(route="all", model="stable", role=Role.PRIMARY)
SAID = Outputs([1], [0.9])


class Controller:
    def __init__(self):
        self.chunks = []
        self.there = True

    def __call__(self, **chunk):
        if self.there:
            self.chunks.append(chunk)
        return self.there

    @property
    def rows(self):
        return [row for chunk in self.chunks for row in chunk["rows"]]


@pytest.fixture
def controller():
    return Controller()


def learner(controller, rows=1000):
    return Learner(KEY, "owner", rows, controller)


def take(one, *rows, names=("a",), outputs=SAID, segments=None):
    for row in rows:
        one.take(names, row, outputs, 0, segments or {})


def test_exactly_as_many_rows_are_sent_as_were_asked_for(controller):
    one = learner(controller, rows=CHUNK_ROWS + 10)
    take(one, *[[float(number)] for number in range(2 * CHUNK_ROWS)])
    assert [len(chunk["rows"]) for chunk in controller.chunks] == [CHUNK_ROWS, 10]
    assert controller.rows == [[float(number)] for number in range(CHUNK_ROWS + 10)]
    assert one.left == 0


def test_a_chunk_names_its_columns_and_says_what_was_predicted_and_where(controller):
    one = learner(controller)
    take(one, [1.0], segments={"region": "eu", "tier": None})
    take(one, [2.0], outputs=None, segments={"region": None, "tier": "gold"})
    one.flush()
    assert controller.chunks == [
        {
            "key": KEY,
            "owner": "owner",
            "names": ("a",),
            "rows": [[1.0], [2.0]],
            "predictions": [1, None],
            "scores": [0.9, None],
            "segments": {"region": ["eu", None], "tier": [None, "gold"]},
        }
    ]


def test_rows_of_another_form_begin_another_chunk(controller):
    one = learner(controller)
    take(one, [1.0], [2.0])
    take(one, [1.0, 2.0], names=("a", "b"))
    take(one, [3.0])
    one.flush()
    one.flush()
    assert [chunk["names"] for chunk in controller.chunks] == [("a",), ("a", "b"), ("a",)]


def test_rows_that_could_not_be_sent_are_made_up_for(controller):
    one = learner(controller, rows=CHUNK_ROWS)
    controller.there = False
    take(one, *[[0.0]] * CHUNK_ROWS)
    assert one.left == CHUNK_ROWS
    controller.there = True
    take(one, *[[1.0]] * CHUNK_ROWS)
    assert controller.rows == [[1.0]] * CHUNK_ROWS


def test_wide_rows_make_small_chunks_and_absurd_ones_none(controller):
    one = learner(controller)
    names = tuple(map(str, range(WIDEST_ROW)))
    take(one, *[[0.0] * WIDEST_ROW] * 20, names=names)
    assert len(controller.chunks[0]["rows"]) < 20
    take(one, [0.0] * (WIDEST_ROW + 1), names=(*names, "more"))
    one.flush()
    assert len(controller.rows) == 20


@pytest.mark.parametrize(("value", "sent"), [
    (None, None), (True, True), (3, 3), ("x", "x"), ("x" * 10_000, "x" * LONGEST_TEXT),
    (2**63, float(2**63)), (-(2**63), -(2**63)), (10**400, math.inf),
])  # fmt: skip
def test_values_are_such_as_fit_into_a_message(controller, value, sent):
    one = learner(controller)
    take(one, [value])
    one.flush()
    assert controller.rows == [[sent]]
    assert type(controller.rows[0][0]) is type(sent)
