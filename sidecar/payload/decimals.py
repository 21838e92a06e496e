"""Decimal numbers to the nearest float64, many at once: what `float()` gives, or no answer at all.

`nearest_doubles` is plain Python in the subset that Numba compiles, as the kernels of `sketch` are.
A number is `mantissa * 10 ** exponent` with a mantissa of at most 18 digits. Two ways, both exact:

- A mantissa up to 2**53 and a power of ten up to 10**22 are floats without rounding, so that their
  one product or quotient is rounded once (Clinger, How to read floating point numbers accurately,
  PLDI 1990).
- Else the mantissa is multiplied by a 128-bit power of five, truncated; the product tells to which
  float the number is nearest unless it is too close to the middle between two (Lemire, Number
  parsing at a gigabyte per second, Software: Practice and Experience 51, 2021, after Eisel).

What neither decides (the middle, results beyond the normal range, exponents that no measurement
has) is left to others: such numbers are told apart, never guessed.

Must not know: bytes, JSON.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from sidecar.sketch.distribution import FloatArray
from sidecar.sketch.kernels import IntArray

WordArray = npt.NDArray[np.uint64]

MISSING: Final = 1 << 20
"""In place of an exponent: there is no number; it reads as NaN."""

LARGEST_POWER: Final = 100
"""Of ten, up and down; a mantissa of 18 digits keeps results within the normal numbers."""

NearestDoubles = Callable[[IntArray, IntArray, WordArray, FloatArray, FloatArray, IntArray], int]
"""The kernel, compiled or not."""


def nearest_doubles(
    mantissas: IntArray,
    exponents: IntArray,
    fives: WordArray,
    tens: FloatArray,
    numbers: FloatArray,
    decided: IntArray,
) -> int:
    """Convert row by row; the return value is how many rows turned out to be undecided.

    mantissas: int64[row, column]     below 10 ** 18 in size
    exponents: int64[row, column]     of ten, or MISSING
    fives:     uint64[power, 2]       5 ** (power - LARGEST_POWER): the highest 128 bits
    tens:      float64[23]            10 ** power
    numbers:   float64[row, column]   written; NaN where not decided
    decided:   int64[row]             rows of 0 are passed over; set to 0 where a number of a row
                                      is not decided
    """
    rows, columns = mantissas.shape
    low_half = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    one = np.uint64(1)
    undecided = 0
    for row in range(rows):
        if decided[row] == 0:
            continue
        for column in range(columns):
            mantissa, exponent = mantissas[row, column], exponents[row, column]
            size = abs(mantissa)
            if size <= 9007199254740992 and -22 <= exponent <= 22:
                if exponent < 0:
                    numbers[row, column] = float(mantissa) / tens[-exponent]
                else:
                    numbers[row, column] = float(mantissa) * tens[exponent]
                continue
            numbers[row, column] = math.nan
            if exponent == MISSING:
                continue
            if size == 0:
                numbers[row, column] = 0.0
                continue
            if exponent < -LARGEST_POWER or exponent > LARGEST_POWER:
                decided[row] = 0
                continue

            # The mantissa with its highest bit at the top, times the power: 128 of 192 bits.
            word = np.uint64(size)
            zeros = 0
            step = 32
            while step > 0:
                if word >> np.uint64(64 - step) == 0:
                    word <<= np.uint64(step)
                    zeros += step
                step >>= 1
            high, low = np.uint64(0), np.uint64(0)
            for part in range(2):
                five = fives[exponent + LARGEST_POWER, part]
                a, b = word >> half, word & low_half
                c, d = five >> half, five & low_half
                middle = (b * d >> half) + (a * d & low_half) + (b * c & low_half)
                top = a * c + (a * d >> half) + (b * c >> half) + (middle >> half)
                bottom = (middle << half) | (b * d & low_half)
                if part == 0:
                    high, low = top, bottom
                elif low > ~top:  # the sum carries
                    high, low = high + one, low - (~top) - one
                else:
                    low += top

            # 54 bits are kept, the last to round by; what is below decides unless it is all zeros
            # or all ones, as it is nearest the middle of two floats, or nearest one of them.
            upper = high >> np.uint64(63)
            shift = upper + np.uint64(9)
            below = high & ((one << shift) - one)
            if (below == 0 and low <= one) or (below == (one << shift) - one and low >= ~one):
                decided[row] = 0
                continue
            kept = high >> shift
            kept = (kept + (kept & one)) >> one
            # floor(log2(10 ** exponent)), by a fraction good for |exponent| < 350.
            power = (217706 * exponent >> 16) + np.int64(upper) - zeros + 63 - 52
            nearest = math.ldexp(float(np.int64(kept)), int(power))
            numbers[row, column] = -nearest if mantissa < 0 else nearest
        undecided += decided[row] == 0
    return undecided


@cache
def powers_of_five() -> WordArray:
    """`fives` of the kernel; of a negative power it is the reciprocal, rounded up (Lemire 2021)."""
    words: list[tuple[int, int]] = []
    for power in range(-LARGEST_POWER, LARGEST_POWER + 1):
        five: int = 5 ** abs(power)
        length = five.bit_length()
        if power >= 0:
            bits = five << 128 >> length
        else:
            # 128 bits, and one more where the quotient is a power of two
            bits = (1 << (127 + length)) // five + 1
            bits >>= bits.bit_length() - 128
        words.append((bits >> 64, bits & (1 << 64) - 1))
    table = np.array(words, dtype=np.uint64)
    table.flags.writeable = False
    return table


@cache
def powers_of_ten() -> FloatArray:
    """`tens` of the kernel: the powers of ten that are floats."""
    table = np.array([float(10**power) for power in range(23)])
    table.flags.writeable = False
    return table
