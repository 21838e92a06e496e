"""Everything that is shown of a comparison beside the gate's verdict: effects, tests, shares.

Statistics that do not exist are None: p values of an empty side, distances between categories.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

import numpy as np
from msgspec import Struct, structs

from sidecar.drift.distance import Placed, jensen_shannon, wasserstein
from sidecar.drift.homogeneity import chi_square, kolmogorov_smirnov
from sidecar.drift.psi import psi
from sidecar.model import ColumnKind
from sidecar.sketch.distribution import Distribution
from sidecar.sketch.kernels import IntArray

_YES: Final = frozenset({"1", "1.0", "true", "yes", "y", "positive"})
_NO: Final = frozenset({"0", "0.0", "-1", "-1.0", "false", "no", "n", "negative"})
_CLASSES: Final = (frozenset({0.0, 1.0}), frozenset({-1.0, 1.0}))


class Side(Struct, frozen=True, kw_only=True):
    """What one side of a comparison says of the column by itself.

    rows:                all rows; `values` of them had a value
    missing:             share of rows with none (absent, null, NaN)
    nonfinite:           share of rows with an infinity
    new_category:        share of values that are no known category; None for numbers
    out_of_range:        share of values outside the cells that the reference has seen; None for
                         categories
    mean:                of a numeric column
    positive_rate:       share of positives, where the column has two classes; else None
    """

    rows: int
    values: int
    missing: float | None = None
    nonfinite: float | None = None
    new_category: float | None = None
    out_of_range: float | None = None
    mean: float | None = None
    positive_rate: float | None = None


class Evidence(Struct, frozen=True, kw_only=True):
    """The statistics of a comparison; formulas in the modules that compute them.

    Over the bins of drift: `psi` (shares floored at 1e-4), chi-square, Jensen-Shannon (base 2).
    Over all buckets: KS, Wasserstein (`wasserstein` in units of the value, `wasserstein_scaled` in
    interquartile ranges of the reference).
    """

    reference: Side
    current: Side
    psi: float | None = None
    ks: float | None = None
    ks_p: float | None = None
    chi_square: float | None = None
    chi_square_df: int | None = None
    chi_square_p: float | None = None
    cramers_v: float | None = None
    js_divergence: float | None = None
    js_distance: float | None = None
    wasserstein: float | None = None
    wasserstein_scaled: float | None = None


def evidence(
    reference: Distribution,
    current: Distribution,
    *,
    reference_phi: float = 1.0,
    current_phi: float = 1.0,
) -> Evidence:
    """All statistics of one column; about 0.4 ms. Raises ValueError when the columns differ."""
    column = reference.column
    if column != current.column:
        raise ValueError(f"{column.name} was counted in two ways, and cannot be compared")
    numeric = column.kind is ColumnKind.NUMERIC
    here, there = (Placed.of(side) if numeric else None for side in (reference, current))
    shown = Evidence(
        reference=_side(reference, reference, here), current=_side(current, reference, there)
    )
    n, m = shown.current.values, shown.reference.values
    if not n or not m:
        return shown
    size = 1 / (reference_phi / m + current_phi / n)
    expected, found = reference.binned, current.binned
    chi = chi_square(expected, found, size)
    divergence = jensen_shannon(expected, found)
    shown = structs.replace(
        shown,
        psi=psi(expected, found),
        chi_square=chi.statistic,
        chi_square_df=chi.df,
        chi_square_p=chi.p,
        cramers_v=chi.cramers_v,
        js_divergence=divergence,
        js_distance=sqrt(divergence),
    )
    if here is None or there is None:
        return shown
    ks = kolmogorov_smirnov(reference.values, current.values, size)
    moved, spread = wasserstein(here, there), here.spread
    return structs.replace(
        shown,
        ks=ks.d,
        ks_p=ks.p,
        wasserstein=moved,
        wasserstein_scaled=None if spread is None else moved / spread,
    )


def _side(side: Distribution, reference: Distribution, placed: Placed | None) -> Side:
    rows, count, values = side.rows, side.count, side.values
    if not rows:
        return Side(rows=0, values=0)
    return Side(
        rows=rows,
        values=count,
        missing=side.missing / rows,
        nonfinite=side.nonfinite / rows,
        new_category=int(values[-1]) / count if count and placed is None else None,
        out_of_range=None if placed is None else _outside(values, reference.values),
        mean=placed.mean if count and placed is not None else None,
        positive_rate=positive_rate(side, placed),
    )


def positive_rate(distribution: Distribution, placed: Placed | None) -> float | None:
    """Share of positives where all values are of two classes: 0 or 1, -1 or 1, no or yes.

    placed: where the values of a numeric column stand. None for other columns: of a score, what is
    positive depends on a threshold that only the model's owner knows.
    """
    values = distribution.values
    seen = np.flatnonzero(values)
    if not len(seen):
        return None
    if placed is not None:
        classes = placed.places[seen].tolist() if len(seen) <= len(_CLASSES[0]) else ()
        if not classes or not any(two.issuperset(classes) for two in _CLASSES):
            return None
        return float(placed.shares[seen[-1]]) if classes[-1] == 1 else 0.0
    names = [name.lower() for name in distribution.column.categories]
    yes = [at for at, name in enumerate(names) if name in _YES]
    no = [at for at, name in enumerate(names) if name in _NO]
    if len(yes) != 1 or len(no) != 1 or not set(seen.tolist()) <= {*yes, *no}:
        return None
    return float(values[yes[0]] / distribution.count)


def _outside(values: IntArray, reference: IntArray) -> float | None:
    seen, count = np.flatnonzero(reference), values.sum()
    if not count or not len(seen):
        return None
    return float(1 - values[seen[0] : seen[-1] + 1].sum() / count)
