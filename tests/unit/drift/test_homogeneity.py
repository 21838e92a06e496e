import numpy as np
import pytest
from scipy import stats

from sidecar.drift.homogeneity import chi_square, kolmogorov_smirnov


def counts(*values):
    return np.array(values, dtype=np.int64)


def test_d_is_the_largest_difference_of_the_distribution_functions():
    # F: .2 .5 1, G: .5 .6 1.
    assert kolmogorov_smirnov(counts(2, 3, 5), counts(5, 1, 4)).d == pytest.approx(0.3)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.3])
def test_ks_of_finely_counted_values_is_that_of_scipy_on_the_values(shift):
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=3000), rng.normal(shift, 1, size=1000)
    edges = np.sort(np.concatenate((one, other)))
    tables = [np.histogram(values, [*edges, np.inf])[0] for values in (one, other)]
    expected = stats.ks_2samp(one, other, method="asymp")

    found = kolmogorov_smirnov(*tables)

    assert found.d == pytest.approx(expected.statistic, abs=1e-12)
    # Stephens' correction is closer to the exact law than the limit that SciPy takes.
    exact = stats.ks_2samp(one, other, method="exact").pvalue
    assert found.p == pytest.approx(exact, rel=0.05, abs=1e-6)


def test_equal_distributions_have_no_distance_and_a_p_of_1():
    found = kolmogorov_smirnov(counts(10, 20, 30), counts(20, 40, 60))

    assert (found.d, found.p) == (pytest.approx(0.0, abs=1e-15), 1.0)


def test_chi_square_is_that_of_scipy_without_the_bins_nobody_saw():
    one, other = counts(40, 0, 30, 30), counts(20, 0, 50, 10)
    expected = stats.chi2_contingency(np.array([one[[0, 2, 3]], other[[0, 2, 3]]]))

    found = chi_square(one, other)

    assert found.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert (found.df, found.p) == (expected.dof, pytest.approx(expected.pvalue, rel=1e-9))


def test_cramers_v_is_that_of_scipy_and_1_for_disjoint_samples():
    one, other = counts(40, 30, 30), counts(20, 50, 10)

    expected = stats.contingency.association(np.array([one, other]), method="cramer")

    assert chi_square(one, other).cramers_v == pytest.approx(expected, rel=1e-12)
    assert chi_square(counts(10, 0), counts(0, 30)).cramers_v == pytest.approx(1.0)


def test_dependence_weakens_the_tests_and_not_the_effects():
    one, other = counts(300, 200, 100), counts(250, 200, 150)
    half = 600 * 600 / 1200 / 2

    plain, dependent = chi_square(one, other), chi_square(one, other, half)

    assert dependent.statistic == pytest.approx(plain.statistic / 2, rel=1e-12)
    assert dependent.p > plain.p
    assert dependent.cramers_v == plain.cramers_v
    assert kolmogorov_smirnov(one, other, half).p > kolmogorov_smirnov(one, other).p


def test_one_bin_alone_cannot_differ():
    found = chi_square(counts(10), counts(500))

    assert (found.statistic, found.df, found.p) == (0.0, 0, 1.0)


@pytest.mark.parametrize("test", [chi_square, kolmogorov_smirnov])
def test_an_empty_side_is_refused(test):
    with pytest.raises(ValueError, match="counted nothing"):
        test(counts(0, 0), counts(1, 2))


@pytest.mark.parametrize("test", [chi_square, kolmogorov_smirnov])
def test_p_values_without_a_difference_are_uniform_or_larger(test):
    rng = np.random.default_rng(11)
    tables = rng.multinomial(2000, np.full(50, 0.02), size=(2, 1500))

    p = np.array([test(one, other).p for one, other in zip(*tables, strict=True)])

    for level in (0.01, 0.05, 0.2):
        assert (p <= level).mean() < level + 3 * np.sqrt(level / 1500)
