"""Decimals become the float that `float()` gives, or nothing at all."""

import math
import os
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.board import warm
from sidecar.payload.decimals import (
    LARGEST_POWER,
    MISSING,
    nearest_doubles,
    powers_of_five,
    powers_of_ten,
)

MANTISSAS = st.integers(-(10**18) + 1, 10**18 - 1)


@pytest.fixture(scope="module", params=["interpreted", "compiled"])
def kernel(request):
    return nearest_doubles if request.param == "interpreted" else warm(os.environ).nearest_doubles


def converted(kernel, *decimals):
    """The number of each mantissa and exponent, None where it is not decided."""
    mantissas, exponents = np.array(decimals, dtype=np.int64).T.reshape(2, -1, 1).copy()
    numbers, decided = np.empty(mantissas.shape), np.ones(len(mantissas), dtype=np.int64)
    undecided = kernel(mantissas, exponents, powers_of_five(), powers_of_ten(), numbers, decided)
    assert undecided == (decided == 0).sum()
    found = zip(numbers[:, 0].tolist(), decided.tolist(), strict=True)
    return [number if sure else None for number, sure in found]


@given(decimals=st.lists(st.tuples(MANTISSAS, st.integers(-130, 130)), min_size=1, max_size=20))
@example(decimals=[(9007199254740993, 0), (-9007199254740993, 0), (2**53, 22), (2**53, -22)])
@example(decimals=[(10**18 - 1, 100), (1, 100), (1, -100), (10**18 - 1, -100), (1, 101)])
def test_a_number_is_that_of_float_or_not_decided(kernel, decimals):
    for (mantissa, exponent), found in zip(decimals, converted(kernel, *decimals), strict=True):
        if found is not None:
            assert found == float(f"{mantissa}e{exponent}")
        else:
            assert abs(exponent) > LARGEST_POWER or abs(mantissa) > 2**53 or abs(exponent) > 22


@given(value=st.floats(1e-80, 1e80), sign=st.sampled_from([1, -1]))
def test_what_a_float_is_written_as_becomes_that_float(kernel, value, sign):
    digits, _, power = f"{value:.16e}".partition("e")
    mantissa, exponent = sign * int(digits.replace(".", "")), int(power) - 16
    assert converted(kernel, (mantissa, exponent)) in ([sign * value], [None])


@given(value=st.floats(1.0, 999.0), beside=st.integers(-2, 2))
def test_nothing_near_the_middle_of_two_floats_is_guessed(kernel, value, beside):
    middle = (Fraction(value) + Fraction(math.nextafter(value, math.inf))) / 2
    mantissa = int(middle * 10**15) + beside
    (found,) = converted(kernel, (mantissa, -15))
    assert found in (None, float(f"{mantissa}e-15"))


def test_the_middle_itself_is_left_undecided(kernel):
    assert converted(kernel, (2**53 + 1, 0), (-(2**54) - 2, 0)) == [None, None]


def test_what_is_missing_is_no_number_and_no_reason_to_leave_the_row(kernel):
    (found,) = converted(kernel, (0, MISSING))
    assert math.isnan(found)


def test_a_row_that_was_given_up_before_is_passed_over(kernel):
    mantissas, exponents = np.full((2, 1, 1), 7)
    numbers, decided = np.full((1, 1), -1.0), np.zeros(1, dtype=np.int64)
    assert kernel(mantissas, exponents, powers_of_five(), powers_of_ten(), numbers, decided) == 0
    assert numbers[0, 0] == -1.0


def test_both_ways_of_running_it_say_the_same():
    rng = np.random.default_rng(3)
    decimals = list(
        zip(rng.integers(-(10**18), 10**18, 500), rng.integers(-120, 120, 500), strict=True)
    )
    compiled = warm(os.environ).nearest_doubles
    assert converted(nearest_doubles, *decimals) == converted(compiled, *decimals)
