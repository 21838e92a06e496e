import numpy as np
import pytest
from harness.counting import categorical, numeric

from sidecar.sketch import Distribution

X = numeric("x", (0.0, 1.0, 2.0, 4.0), bins=(0, 2, 3), summed=(0, 4))
C = categorical("c", ("a", "b"), bins=(0, 1, 2))


def of_x(counts, sums=(0.0, 0.0)):
    return Distribution(X, np.array(counts), np.array(sums))


def test_missing_and_infinite_values_are_rows_but_no_values():
    counted = of_x([1, 2, 3, 4, 5, 6, 7])
    assert counted.values.tolist() == [1, 2, 3, 4, 5]
    assert (counted.count, counted.missing, counted.nonfinite, counted.rows) == (15, 6, 7, 28)


def test_bins_are_unions_of_neighbouring_buckets():
    assert of_x([1, 2, 3, 4, 5, 6, 7]).binned.tolist() == [3, 3, 9]
    assert Distribution(C, np.arange(5), np.zeros(0)).binned.tolist() == [0, 1, 2]


def test_what_was_counted_adds_and_subtracts_with_its_sums():
    early, late = of_x([1, 0, 0, 0, 2, 0, 0], (-1.0, 9.0)), of_x([0, 1, 0, 0, 1, 3, 0], (0.0, 5.0))
    both = early.merge(late)
    assert both == of_x([1, 1, 0, 0, 3, 3, 0], (-1.0, 14.0))
    assert both.since(early) == late


def test_a_count_never_falls():
    with pytest.raises(ValueError, match="negative"):
        of_x([0] * 7).since(of_x([1] + [0] * 6))


def test_distributions_of_different_columns_do_not_meet():
    other = Distribution.empty(numeric("x", (0.0, 1.0, 2.0, 5.0), summed=(0, 4)))
    for meet in (of_x([0] * 7).merge, of_x([0] * 7).since):
        with pytest.raises(ValueError, match="another way"):
            meet(other)


@pytest.mark.parametrize(("counts", "sums"), [([0] * 6, [0.0] * 2), ([0] * 7, [0.0])])
def test_counts_that_do_not_fit_the_column_are_refused(counts, sums):
    with pytest.raises(ValueError, match="x:"):
        of_x(counts, sums)


def test_a_distribution_does_not_change_with_the_arrays_it_was_made_of():
    counts, sums = np.zeros(7, np.int64), np.zeros(2)
    counted = Distribution(X, counts, sums)
    counts[:] = sums[:] = 5
    assert counted == Distribution.empty(X)
    for array in (counted.counts, counted.sums):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_a_quantile_comes_with_its_cell_and_none_without_values():
    found = of_x([0, 0, 4, 0, 0, 9, 9]).quantile(0.5)
    assert (found.lower, found.upper) == (1.0, 2.0)
    assert of_x([0, 0, 0, 0, 0, 9, 9]).quantile(0.5) is None


def test_categories_have_no_quantiles():
    with pytest.raises(ValueError, match="categories"):
        Distribution.empty(C).quantile(0.5)


def test_equal_distributions_have_equal_hashes():
    assert hash(of_x([1] * 7)) == hash(of_x([1] * 7))
    assert of_x([1] * 7) != of_x([1] * 6 + [2])
    assert of_x([1] * 7) != of_x([1] * 7, (1.0, 0.0))
