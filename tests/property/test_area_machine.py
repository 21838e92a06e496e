"""Any order of opening, counting, crashing and changing hands leaves the right areas behind."""

import os

import numpy as np
from harness.counting import categorical, count_in_numpy, numeric
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sidecar.board import Board, BoardLayout, warm
from sidecar.model import ColumnPart
from sidecar.sketch import NOT_COUNTED, Area, AreaLayout, ColumnTable, WatchCounter

WORKERS, ARENA_WORDS = 2, 400
KERNELS = warm(os.environ)

LAYOUTS = (
    AreaLayout(
        (numeric("x", summed=(0, 4), bins=(0, 2)), categorical("c", bins=(0, 1, 2))),
        (numeric("latency_ns", (10.0, 100.0), ColumnPart.MEASURE),),
        block_count=2,
    ),
    AreaLayout((numeric("y", [float(n) for n in range(8)], summed=(1, 8)),), (), block_count=1),
)
# Places that touch, overlap and coincide.
PLACES = [(0, 0), (1, 30), (1, LAYOUTS[0].words), (2, 200), (3, ARENA_WORDS - LAYOUTS[0].words)]

workers = st.integers(0, WORKERS - 1)
layouts = st.sampled_from(LAYOUTS)
owners = st.sampled_from(["iris stable primary", "iris next canary"])
# Quarters, so that sums are exact in whatever order workers are added.
numbers = st.sampled_from(
    [-7.25, -1.0, 0.0, 0.5, 1.0, 2.0, 3.75, 4.0, 99.5, np.nan, np.inf, -np.inf, NOT_COUNTED]
)


class AreaMachine(RuleBasedStateMachine):
    """The arena beside a plain model of it: per worker, the areas that were opened, by claim."""

    @initialize()
    def allocate(self):
        layout = BoardLayout(
            workers=WORKERS, cells=1, model_rows=1, arena_words=ARENA_WORDS, watch_slots=4
        )
        self.board = Board.allocate(layout, KERNELS)
        self.pens = [{} for _ in range(WORKERS)]
        self.expected = [{} for _ in range(WORKERS)]

    @rule(worker=workers, place=st.sampled_from(PLACES), layout=layouts, owner=owners)
    def open(self, worker, place, layout, owner):
        slot, at = place
        claim = (slot, at, layout, owner)
        areas, pens = self.expected[worker], self.pens[worker]
        if claim not in areas:
            for other in list(areas):
                if other[0] == slot or _overlap(other, claim):
                    del areas[other]
                    pens.pop(other, None)
            areas[claim] = np.zeros(layout.words, np.int64)
        pens[claim] = self.board.recorder(worker).open_area(
            slot=slot, at=at, words=layout.words, owner=owner
        )

    @precondition(lambda self: any(self.pens))
    @rule(data=st.data())
    def count_rows(self, data):
        worker, claim = self._pen(data)
        layout = claim[2]
        rows = data.draw(st.integers(0, 5))
        width = len(layout.columns)
        values = np.array(data.draw(_matrix(numbers, rows, width)), np.float64).reshape(rows, width)
        starts = [layout.block_at(block) for block in range(layout.block_count)]
        bases = data.draw(_matrix(st.sampled_from([*starts, *starts, -1, 3]), rows, 1))
        bases = np.array(bases, np.int64).reshape(rows, 1)
        failed = np.array(data.draw(_matrix(st.integers(0, 1), 1, rows))[0], np.int64)
        latency_ns = np.array(data.draw(_matrix(st.integers(-1, 50), 1, rows))[0], np.int64)
        table = ColumnTable.of_columns(layout)
        outside = np.zeros(rows, np.int64)
        rest = (values, bases, failed, latency_ns)
        left_out = table.count(KERNELS.count_values, *rest, self.pens[worker][claim], outside)
        known = count_in_numpy(layout, layout.columns, *rest, self.expected[worker][claim])
        assert left_out == known[0]
        assert outside.tolist() == known[1].tolist()

    @precondition(lambda self: any(self.pens))
    @rule(data=st.data(), counter=st.sampled_from(WatchCounter))
    def count_an_exchange(self, data, counter):
        worker, claim = self._pen(data)
        self.pens[worker][claim][counter] += 1
        self.expected[worker][claim][counter] += 1

    @rule(worker=workers)
    def crash(self, worker):
        self.pens[worker].clear()

    @invariant()
    def an_area_shows_the_sum_of_what_its_owner_counted_in_it(self):
        for slot, at in PLACES:
            for layout in LAYOUTS:
                for owner in ("iris stable primary", "iris next canary"):
                    found = self.board.read_area(layout, slot=slot, at=at, owner=owner)
                    expected = Area.empty(layout)
                    for areas in self.expected:
                        if (words := areas.get((slot, at, layout, owner))) is not None:
                            expected = expected.merge(Area(layout, words))
                    assert found == expected

    def _pen(self, data):
        held = [(worker, claim) for worker, pens in enumerate(self.pens) for claim in pens]
        return held[data.draw(st.integers(0, len(held) - 1))]


def _overlap(one, other):
    (_, at, layout, _), (_, other_at, other_layout, _) = one, other
    return at < other_at + other_layout.words and other_at < at + layout.words


def _matrix(elements, rows, width):
    row = st.lists(elements, min_size=width, max_size=width)
    return st.lists(row, min_size=rows, max_size=rows)


AreaMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
TestAreas = AreaMachine.TestCase
