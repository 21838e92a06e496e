"""Books that move with the position, and only with it."""

from collections import Counter

from harness.delivering import item
from hypothesis import given
from hypothesis import strategies as st

from sidecar.delivery.ledger import Ledger, Outcome
from sidecar.journal import Position, SlotPosition, Standing


def at(offset):
    return Position({0: SlotPosition(1, offset)})


def test_what_is_entered_counts_when_the_position_moves():
    ledger = Ledger(Standing())
    ledger.enter(Outcome.DELIVERED, [item(1), item(2)])
    assert ledger.standing == Standing()
    ledger.move(at(10))
    assert ledger.standing == Standing(position=at(10), totals={"delivered": {"stable": 2}})


def test_nothing_entered_is_no_entry():
    ledger = Ledger(Standing())
    ledger.enter(Outcome.DEAD_LETTERED, [])
    ledger.move(at(10))
    assert ledger.standing.totals == {}


def test_a_standing_is_a_value_that_later_moves_leave_alone():
    ledger = Ledger(Standing())
    ledger.enter(Outcome.DELIVERED, [item(1)])
    ledger.move(at(1))
    first = ledger.standing
    ledger.enter(Outcome.DELIVERED, [item(2)])
    ledger.move(at(2))
    assert first.totals == {"delivered": {"stable": 1}}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["enter", "move", "forget", "save", "rewind"]),
            st.sampled_from(list(Outcome)),
            st.integers(0, 5),
        )
    )
)
def test_totals_count_what_was_entered_before_the_position(steps):
    ledger = Ledger(Standing())
    counted, entered, saved = Counter(), Counter(), Counter()
    for place, (step, outcome, count) in enumerate(steps):
        match step:
            case "enter":
                ledger.enter_counts(outcome, {"stable": count})
                entered[outcome.value] += count
            case "move":
                ledger.move(at(place))
                counted.update(entered)
                entered.clear()
            case "forget":
                ledger.forget()
                entered.clear()
            case "save":
                ledger.saved = ledger.standing
                saved = counted.copy()
            case "rewind":
                ledger.rewind()
                ledger.forget()
                entered.clear()
                counted = saved.copy()
        totals = {name: models["stable"] for name, models in ledger.standing.totals.items()}
        assert Counter(totals) == counted
