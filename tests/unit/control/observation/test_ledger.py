"""Totals go on when the numbers they come from begin anew."""

import numpy as np

from sidecar.control.observation.ledger import Ledger
from sidecar.model import ColumnKind, ColumnPart
from sidecar.sketch import Area, AreaLayout, Column

LAYOUT = AreaLayout(
    (
        Column(
            name="x",
            part=ColumnPart.FEATURE,
            kind=ColumnKind.NUMERIC,
            edges=(0.0, 1.0),
            summed=(0, 2),
        ),
    )
)


def area(number, total=0.0):
    words = np.full(LAYOUT.words, number, np.int64)
    LAYOUT.sums_of(LAYOUT.blocks_of(words))[...] = total
    return Area(LAYOUT, words)


def nothing(_owner, _layout):
    return None


def test_a_first_tenure_has_no_past():
    ledger = Ledger().moved({"a": ("board-1", LAYOUT)}, last=nothing)
    assert ledger.total("a", area(5, 0.5)) == area(5, 0.5)


def test_a_tenure_that_goes_on_keeps_its_past_and_does_not_ask_for_it():
    first = Ledger().moved({"a": ("board-1", LAYOUT)}, last=lambda *_: area(7))
    again = first.moved({"a": ("board-1", LAYOUT)}, last=lambda *_: area(1000))
    assert again.total("a", area(5)) == area(12)


def test_a_new_tenure_begins_where_the_newest_total_ended_sums_as_floats():
    first = Ledger().moved({"a": ("board-1", LAYOUT)}, last=nothing)
    total = first.total("a", area(5, 0.25))
    second = first.moved({"a": ("board-2", LAYOUT)}, last=lambda *_: total)
    assert second.total("a", area(0, 0.0)) == total
    assert second.total("a", area(2, 0.5)) == area(7, 0.75)


def test_who_is_no_longer_seated_is_forgotten():
    both = Ledger().moved({"a": ("1", LAYOUT), "b": ("1", LAYOUT)}, last=nothing)
    assert set(both.moved({"b": ("1", LAYOUT)}, last=nothing).tenures) == {"b"}
