from math import log

import numpy as np
import pytest

from sidecar.drift.psi import FLOOR, psi, psi_interval, smoothed_psi


def counts(*values):
    return np.array(values, dtype=np.int64)


def test_psi_is_the_sum_over_bins_that_textbooks_show():
    # Shares .5 .3 .2 and .4 .4 .2.
    by_hand = -0.1 * log(0.8) + 0.1 * log(4 / 3)

    assert psi(counts(50, 30, 20), counts(4, 4, 2)) == pytest.approx(by_hand, abs=1e-15)


def test_a_bin_that_one_side_has_not_seen_is_floored_at_one_in_ten_thousand():
    # Shares 1/2 1/2 0 against 1/2 0 1/2: two bins of 1/2 against the floor.
    by_hand = 2 * (0.5 - FLOOR) * log(0.5 / FLOOR)

    assert psi(counts(1, 1, 0), counts(1, 0, 1)) == pytest.approx(by_hand, rel=1e-12)


def test_psi_of_an_empty_side_is_refused():
    with pytest.raises(ValueError, match="counted nothing"):
        psi(counts(1, 2), counts(0, 0))


def test_smoothing_adds_half_a_row_to_every_bin():
    # (3 + 1/2)/(4 + 1) and (1 + 1/2)/(4 + 1), the other way round in the window.
    by_hand = 2 * 0.4 * log(0.7 / 0.3)

    assert smoothed_psi(counts(3, 1), counts(1, 3), 2) == pytest.approx(by_hand, rel=1e-12)


def test_columns_with_fewer_bins_stand_padded_in_one_array():
    reference = np.array([[10, 20, 30], [40, 60, 999]])
    current = np.array([[30, 20, 10], [50, 50, 0]])

    found = smoothed_psi(reference, current, np.array([3, 2]))

    assert found.shape == (2,)
    assert found[1] == smoothed_psi(counts(40, 60), counts(50, 50), 2)


@pytest.mark.parametrize(
    ("true", "n", "m"), [(0.0, 1000, 50_000), (0.1, 800, 800), (0.4, 600, 9000)]
)
def test_the_interval_covers_the_true_psi_as_often_as_it_says(true, n, m):
    rng = np.random.default_rng(7)
    even = np.full(10, 0.1)
    tilt = np.exp(np.linspace(-1, 1, 10) * _tilt(true))
    moved = tilt / tilt.sum()
    found = smoothed_psi(
        rng.multinomial(m, even, size=2000), rng.multinomial(n, moved, size=2000), 10
    )

    low, high = psi_interval(found, 9, 1 / (1 / n + 1 / m))

    exact = ((moved - even) * np.log(moved / even)).sum()
    assert exact == pytest.approx(true, abs=1e-9)
    assert (low <= found).all()
    # Above 95 % where the true PSI is 0: nothing lies below that.
    assert 0.93 <= ((low <= exact) & (exact <= high)).mean() <= (0.97 if true else 0.99)


def _tilt(target):
    low, high = 0.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        shares = np.exp(np.linspace(-1, 1, 10) * middle)
        shares /= shares.sum()
        value = ((shares - 0.1) * np.log(shares / 0.1)).sum()
        low, high = (middle, high) if value < target else (low, middle)
    return low
