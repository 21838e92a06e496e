from dataclasses import dataclass

import msgspec
import pytest
from harness.counted import EVEN, FAR, SAME, SHIFTED, counted, judged, names, ten_bins

from sidecar.drift import Comparison, Span, Status, Thresholds, Verdict, judge
from sidecar.drift.psi import psi

BASELINE, WINDOW = Span(name="baseline"), Span(name="5m", start_ns=20, end_ns=30)


@dataclass(frozen=True)
class Override:
    drift: float | None = None
    major: float | None = None
    ignore: bool = False


def test_columns_are_judged_in_the_order_given():
    found = judged({"age": SAME, "income": SHIFTED, "debt": FAR})

    assert [(one.feature, one.status) for one in found] == [
        ("age", Status.OK),
        ("income", Status.DRIFT),
        ("debt", Status.MAJOR),
    ]
    assert [one.alarms for one in found] == [False, True, True]


def test_a_verdict_carries_effect_interval_p_sizes_and_both_windows():
    (found,) = judged({"income": SHIFTED}, phi=1.25)

    assert found.psi == psi(ten_bins(EVEN).binned, ten_bins(SHIFTED).binned)
    assert found.interval[0] < found.judged_psi < found.interval[1]
    assert 0 < found.p < found.p_adjusted < 0.05
    assert (found.n, found.m, found.phi, found.reference_phi) == (1000, 10_000, 1.25, 1.0)
    assert found.size == pytest.approx(1 / (1.25 / 1000 + 1 / 10_000))
    assert (found.df, found.family) == (9, 1)
    assert (found.reference.start_ns, found.window.end_ns) == (0, 30)


def test_too_little_data_is_no_failure_and_no_success():
    found, other = judged({"age": SAME, "income": (40,) * 10})

    assert (found.status, other.status) == (Status.OK, Status.INSUFFICIENT_DATA)
    assert (other.p, other.p_adjusted) == (None, None)
    assert other.judged_psi is not None
    assert (found.family, other.family) == (1, 1)


def test_nothing_counted_is_insufficient_data():
    (found,) = judged({"age": (0,) * 10})

    assert found.status is Status.INSUFFICIENT_DATA
    assert (found.psi, found.judged_psi, found.interval) == (None, None, None)


def test_columns_of_different_kinds_stand_beside_each_other():
    colours = names("red", "green", name="colour")
    comparisons = [
        Comparison(reference=ten_bins(EVEN), current=ten_bins(SAME)),
        Comparison(
            reference=counted(colours, [500, 500, 0]), current=counted(colours, [400, 300, 300])
        ),
    ]

    found = judge(comparisons, Thresholds(), reference=BASELINE, window=WINDOW)

    assert [one.status for one in found] == [Status.OK, Status.MAJOR]
    assert [one.df for one in found] == [9, 2]
    assert found[1].evidence.current.new_category == 0.3


def test_overrides_change_the_thresholds_of_one_column():
    found = judged(
        {"age": SHIFTED, "income": SHIFTED, "debt": SHIFTED},
        overrides={"age": Override(drift=0.5), "income": Override(major=0.15)},
    )

    assert [one.status for one in found] == [Status.OK, Status.MAJOR, Status.DRIFT]
    assert [one.threshold for one in found] == [0.5, 0.1, 0.1]
    assert [one.thresholds.major for one in found] == [0.25, 0.15, 0.25]


def test_an_ignored_column_is_shown_and_never_judged():
    found = judged({"age": FAR, "debt": SAME}, overrides={"age": Override(ignore=True)})

    assert (found[0].status, found[0].ignored, found[0].p) == (Status.OK, True, None)
    assert found[0].psi > 1
    assert found[1].family == 1


def test_a_column_that_lost_its_values_says_so_although_they_have_not_shifted():
    found, other = judged({"age": SAME, "debt": SAME}, missing={"age": 800})

    assert found.status is Status.OK
    assert found.missing.status is Status.MAJOR
    assert (found.missing.reference, found.missing.current) == (0.0, pytest.approx(800 / 1800))
    assert (found.missing.n, found.missing.m) == (1800, 10_000)
    assert other.missing.status is Status.OK


def test_a_column_without_any_value_left_is_still_noticed():
    (found,) = judged({"age": (0,) * 10}, missing={"age": 1000})

    assert found.status is Status.INSUFFICIENT_DATA
    assert found.missing.status is Status.MAJOR


def test_evidence_is_there_when_it_is_asked_for():
    assert judged({"age": SAME}, with_evidence=True)[0].evidence.ks is not None
    assert judged({"age": SAME})[0].evidence is None


def test_nothing_to_judge_is_judged_at_once():
    assert judge([], Thresholds(), reference=BASELINE, window=WINDOW) == []


def test_sides_counted_in_different_ways_are_refused():
    with pytest.raises(ValueError, match="x was counted in two ways"):
        Comparison(reference=ten_bins(EVEN), current=counted(names("a"), [1, 2]))


def test_a_verdict_can_be_written_as_json():
    (found,) = judged({"age": SHIFTED}, with_evidence=True)

    assert msgspec.json.decode(msgspec.json.encode(found), type=Verdict) == found
