"""Kinds that take turns are compared round by round."""

from __future__ import annotations

from loadtests.rig.paced import Paced
from loadtests.rig.turns import COLUMNS, Turns, take_turns


def of(*latencies_us: float, failed: int = 0) -> Paced:
    return Paced(sorted(latencies_us), failed)


def test_every_second_round_goes_the_other_way() -> None:
    seen: list[str] = []

    def turn(kind: str) -> Paced:
        seen.append(kind)
        return of(len(seen))

    turns = take_turns(("off", "slow", "down"), 3, turn)

    assert seen == ["off", "slow", "down", "down", "slow", "off", "off", "slow", "down"]
    assert turns.runs["down"] == [of(3), of(4), of(9)]


def test_a_ratio_is_to_the_first_kind_of_the_same_round() -> None:
    # The machine was slow in the second round: medians apart would say 20 / 10.
    turns = Turns({"off": [of(10), of(100), of(10)], "down": [of(11), of(110), of(20)]})
    assert turns.ratio("down", 0.99) == 1.1
    assert turns.middle("down", 0.99) == 20


def test_a_row_has_no_ratio_of_the_first_kind_to_itself() -> None:
    turns = Turns({"off": [of(10, 20)], "down": [of(11, 40, failed=3)]})
    assert turns.first == "off"
    assert turns.others == ["down"]
    assert turns.row("off") == ["10", "20", "", "", "0"]
    assert turns.row("down") == ["11", "40", "1.10", "2.00", "3"]
    assert len(turns.row("off")) == len(COLUMNS)


def test_every_round_is_kept_for_programs() -> None:
    turns = Turns({"off": [of(10), of(12)], "down": [of(20), of(18, failed=1)]})
    assert turns.data() == {
        "p99_ratio": {"down": 1.75},
        "p50_us": {"off": [10, 12], "down": [20, 18]},
        "p99_us": {"off": [10, 12], "down": [20, 18]},
        "failed": {"off": 0, "down": 1},
    }
