"""Everything that is shown of a comparison beside the gate's verdict: effects, tests, shares.

Statistics that do not exist are None: p values of an empty side, distances between categories.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

import numpy as np
from msgspec import Struct

from sidecar.drift import distance, homogeneity
from sidecar.drift.psi import psi
from sidecar.model import ColumnKind
from sidecar.sketch.distribution import Distribution
from sidecar.sketch.kernels import IntArray

_YES: Final = frozenset({"1", "1.0", "true", "yes", "y", "positive"})
_NO: Final = frozenset({"0", "0.0", "-1", "false", "no", "n", "negative"})


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
    """All statistics of one column; about 0.2 ms. Raises ValueError when the columns differ."""
    if reference.column != current.column:
        raise ValueError(f"{reference.column.name} was counted in two ways, and cannot be compared")
    here, there = _side(reference, reference), _side(current, reference)
    n, m = reference.count, current.count
    if not n or not m:
        return Evidence(reference=here, current=there)
    size = 1 / (reference_phi / n + current_phi / m)
    expected, found = reference.binned, current.binned
    chi = homogeneity.chi_square(expected, found, size)
    divergence = distance.jensen_shannon(expected, found)
    numeric = reference.column.kind is ColumnKind.NUMERIC
    ks = homogeneity.kolmogorov_smirnov(reference.values, current.values, size) if numeric else None
    moved = distance.wasserstein(reference, current) if numeric else None
    unit = distance.scale(reference) if numeric else None
    return Evidence(
        reference=here,
        current=there,
        psi=psi(expected, found),
        ks=ks.d if ks else None,
        ks_p=ks.p if ks else None,
        chi_square=chi.statistic,
        chi_square_df=chi.df,
        chi_square_p=chi.p,
        cramers_v=chi.cramers_v,
        js_divergence=divergence,
        js_distance=sqrt(divergence),
        wasserstein=moved,
        wasserstein_scaled=None if moved is None or unit is None else moved / unit,
    )


def _side(side: Distribution, reference: Distribution) -> Side:
    rows, count, values = side.rows, side.count, side.values
    if not rows:
        return Side(rows=0, values=0)
    numeric = side.column.kind is ColumnKind.NUMERIC
    return Side(
        rows=rows,
        values=count,
        missing=side.missing / rows,
        nonfinite=side.nonfinite / rows,
        new_category=int(values[-1]) / count if count and not numeric else None,
        out_of_range=_outside(values, reference.values) if numeric else None,
        mean=distance.mean(side) if numeric else None,
        positive_rate=positive_rate(side),
    )


def positive_rate(distribution: Distribution) -> float | None:
    """Share of positives where all values are of two classes: 0 or 1, -1 or 1, no or yes.

    None for other columns: of a score, what is positive depends on a threshold that only the
    model's owner knows.
    """
    count, values = distribution.count, distribution.values
    if not count:
        return None
    seen = np.flatnonzero(values)
    if distribution.column.kind is ColumnKind.NUMERIC:
        places = distance.positions(distribution)[seen]
        if not (set(places.tolist()) <= {0.0, 1.0} or set(places.tolist()) <= {-1.0, 1.0}):
            return None
        return float(values[seen[places == 1.0]].sum() / count)
    names = [name.lower() for name in distribution.column.categories]
    yes = [at for at, name in enumerate(names) if name in _YES]
    no = [at for at, name in enumerate(names) if name in _NO]
    if len(yes) != 1 or len(no) != 1 or not set(seen.tolist()) <= {*yes, *no}:
        return None
    return float(values[yes[0]] / count)


def _outside(values: IntArray, reference: IntArray) -> float | None:
    seen, count = np.flatnonzero(reference), values.sum()
    if not count or not len(seen):
        return None
    return float(1 - values[seen[0] : seen[-1] + 1].sum() / count)
