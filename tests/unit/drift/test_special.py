"""SciPy is the oracle; it is no dependency of the product."""

import numpy as np
import pytest
from scipy import special, stats

from sidecar.drift.special import (
    chi2_sf,
    kolmogorov_sf,
    ncx2_sf,
    ncx2_sf_sankaran,
    ncx2_sf_screened,
    normal_sf,
)

DEGREES = np.array([1, 2, 3, 9, 10, 31, 100, 300])


def grid(shifts):
    """df, nc and x from deep in the lower tail to far in the upper one."""
    df, nc, z = np.meshgrid(DEGREES, shifts, np.linspace(-6, 14, 21), indexing="ij")
    x = df + nc + z * np.sqrt(2 * (df + 2 * nc))
    return df.ravel(), nc.ravel(), np.maximum(x, 1e-3).ravel()


def test_the_chi_square_tail_is_that_of_scipy():
    df, _, x = grid([0.0])

    np.testing.assert_allclose(chi2_sf(x, df), stats.chi2.sf(x, df), rtol=1e-8, atol=1e-200)


@pytest.mark.parametrize("nc", [1e-6, 0.01, 1.0, 50.0, 2500.0, 1e5, 1e6])
def test_the_noncentral_tail_is_that_of_scipy(nc):
    df, nc, x = grid([nc])
    expected = stats.ncx2.sf(x, df, nc)
    tail = x > df + nc

    found = ncx2_sf(x, df, nc)

    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found[tail], expected[tail], rtol=1e-6, atol=1e-200)


def test_the_regularised_gamma_function_is_a_tail_of_chi_square():
    a, x = np.array([0.5, 3.0, 40.0, 150.0]), np.array([0.1, 4.0, 60.0, 120.0])

    np.testing.assert_allclose(chi2_sf(2 * x, 2 * a), special.gammaincc(a, x), rtol=1e-10)


def test_beyond_the_range_of_values_tails_are_0_and_1():
    assert ncx2_sf([-1.0, 0.0, 1e-30, 1e9, 1e12], 3, 5.0).tolist() == [1, 1, 1, 0, 0]
    assert chi2_sf(1e-20, 1) == pytest.approx(stats.chi2.sf(1e-20, 1), abs=1e-15)


def test_arguments_broadcast_and_many_values_are_summed_in_parts():
    x = np.linspace(0.0, 60.0, 1200).reshape(3, 400)

    found = ncx2_sf(x, np.array([[1], [9], [30]]), 4.0)

    assert found.shape == (3, 400)
    assert np.array_equal(found[1, 7:9], ncx2_sf(x[1, 7:9], 9, 4.0))
    assert ncx2_sf(3.0, 2.0, 1.0).shape == ()


def test_the_tail_falls_as_values_rise_and_rises_with_the_shift():
    assert (np.diff(ncx2_sf(np.linspace(0, 300, 4000), 9, 25.0)) <= 0).all()
    assert (np.diff(ncx2_sf(60.0, 9, np.linspace(0, 300, 4000))) >= 0).all()


@pytest.mark.parametrize(("df", "error"), [(1, 0.07), (9, 0.002), (100, 0.002)])
def test_the_closed_form_is_as_close_as_it_says(df, error):
    nc = np.array([0.0, 1.0, 50.0, 1e4])[:, None]
    x = df + nc + np.linspace(-3, 8, 200) * np.sqrt(2 * (df + 2 * nc))
    x = np.maximum(x, 0.0)

    assert np.abs(ncx2_sf_sankaran(x, df, nc) - ncx2_sf(x, df, nc)).max() < error


def test_screening_is_exact_wherever_something_is_decided():
    x = np.linspace(0.0, 400.0, 3000)
    exact = ncx2_sf(x, 9, 50.0)
    matters = (exact > 1e-8) & (exact < 0.89)

    found = ncx2_sf_screened(x, 9, 50.0)

    assert np.array_equal(found[matters], exact[matters])
    assert np.abs(found - exact).max() < 0.002


def test_kolmogorovs_law_is_that_of_scipy():
    x = np.linspace(0.001, 6, 700)

    found = [kolmogorov_sf(value) for value in x]

    np.testing.assert_allclose(found, special.kolmogorov(x), rtol=1e-12, atol=1e-15)


def test_the_normal_tail_is_that_of_scipy():
    z = np.linspace(-8, 35, 2000)

    np.testing.assert_allclose(normal_sf(z), stats.norm.sf(z), rtol=2e-7)
