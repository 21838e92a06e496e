import pytest
from harness.counted import FAR, SAME, SHIFTED, judged

from sidecar.drift import Thresholds


class Ignored:
    drift = major = None
    ignore = True


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (
            SAME,
            ["income against baseline: PSI 0.00", "ok: below 0.1", "1,000 values (phi 1) in 5m"],
        ),
        (SHIFTED, ["PSI 0.20", "drift: above 0.1 for sure (p = ", "among 1 columns, limit 0.05"]),
        (
            FAR,
            ["PSI 1.8", "major: at least 0.25, and above 0.1 for sure", "against 10,000 (phi 1)"],
        ),
        ((0,) * 10, ["not judged", "0 values", "both sides need 500"]),
    ],
)
def test_a_verdict_says_in_one_sentence_what_how_sure_and_from_how_much(counts, words):
    (found,) = judged({"income": counts})

    assert all(word in found.why for word in words), found.why
    assert found.why.endswith(".")
    assert "None" not in found.why
    assert "nan" not in found.why


def test_a_large_psi_that_is_not_certain_says_that_it_is_not():
    (found,) = judged({"income": SHIFTED}, phi=12, thresholds=Thresholds(minimum=50))

    assert "ok: not above 0.1 for sure (p = 0." in found.why


def test_too_little_data_says_how_much_there_is_and_how_much_is_needed():
    (found,) = judged({"income": SAME}, phi=4)

    assert "1,000 values (phi 4)" in found.why
    assert "make 250 and 10,000 effective ones, and both sides need 500." in found.why


def test_an_ignored_column_says_by_what():
    (found,) = judged({"income": FAR}, overrides={"income": Ignored()})

    assert found.why.endswith("ignored by configuration.")
