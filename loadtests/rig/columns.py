"""Columns as a baseline makes them, and rows to be counted in them, made up from a fixed seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from sidecar.baseline.edges import numeric_column
from sidecar.baseline.measures import measure_columns
from sidecar.model import ColumnPart
from sidecar.sketch import AreaLayout, Column, FloatArray, IntArray

REFERENCE_ROWS: Final = 20_000
MISSING: Final = 0.01
FAILED: Final = 0.01

Law = Callable[[np.random.Generator, int], FloatArray]

# Continuous, skewed, with two modes, and with an atom: what features look like.
LAWS: Final[tuple[Law, ...]] = (
    lambda rng, n: rng.normal(10, 3, n),
    lambda rng, n: rng.lognormal(0, 1, n),
    lambda rng, n: np.where(rng.random(n) < 0.3, rng.normal(-4, 1, n), rng.normal(4, 2, n)),
    lambda rng, n: np.where(rng.random(n) < 0.2, 0.0, rng.gamma(2, 50, n)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows of one call of the kernel, shaped as it takes them."""

    values: FloatArray
    failed: IntArray
    latency_ns: IntArray


def feature_columns(count: int) -> tuple[Column, ...]:
    """Numeric features with the edges that a baseline of `REFERENCE_ROWS` rows would give them."""
    rng = np.random.default_rng(1)
    return tuple(
        numeric_column(f"f{at}", ColumnPart.FEATURE, LAWS[at % len(LAWS)](rng, REFERENCE_ROWS))
        for at in range(count)
    )


def layout_of(columns: tuple[Column, ...], blocks: int = 1) -> AreaLayout:
    """An area of these columns and the measures of every request."""
    return AreaLayout(columns, measure_columns(openai=False), blocks)


def batches(features: int, rows: int, count: int) -> list[Batch]:
    """Rows from the same laws; so many batches that no processor remembers the way through them."""
    rng = np.random.default_rng(2)
    made = []
    for _ in range(count):
        columns = [LAWS[at % len(LAWS)](rng, rows) for at in range(features)]
        values = np.ascontiguousarray(np.stack(columns, axis=1))
        values[rng.random(values.shape) < MISSING] = np.nan
        failed = (rng.random(rows) < FAILED).astype(np.int64)
        latency_ns = rng.lognormal(15, 1, rows).astype(np.int64)
        made.append(Batch(values=values, failed=failed, latency_ns=latency_ns))
    return made
