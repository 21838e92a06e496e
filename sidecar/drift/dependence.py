"""How much less traffic says than its rows: phi, the dispersion of counts between parts of a
window.

Independent rows scatter between equal parts of a window as a multinomial law says. Traffic that
comes in bursts, retries, or sessions scatters more, and n rows of it say as much as n / phi
independent ones (the design effect of survey sampling). phi is estimated by Pearson's statistic of
the table of parts by bins,

    phi = X^2 / ((k - 1)(B - 1)),    X^2 = sum (count - expected)^2 / expected,

which is 1 on average for independent rows. Bins too rare for that (fewer than 5 expected in a part)
are taken together. Reference: McCullagh and Nelder, Generalized Linear Models, 4.5; Rao and Scott,
Annals of Statistics 12 (1984), whose first-order correction this is.

Cannot be seen: dependence longer than half a window (a burst that fills it), and dependence that
does not show in a single column's counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sidecar.drift.special import FloatArray
from sidecar.sketch.kernels import IntArray

PARTS = 10
"""Parts of a window to ask for: enough to see scatter, each long enough to hold whole bursts."""

_LEAST_EXPECTED = 5.0
"""Cochran's rule: below it a cell's (count - expected)^2 / expected is too erratic."""


_LEAST_PHI = 0.1
"""Counts that scatter even less say no more: the logarithm of 0 would outweigh everything."""


@dataclass(frozen=True, slots=True)
class Scatter:
    """Pearson's statistic between parts and its degrees of freedom; 0, 0: nothing to compare."""

    statistic: float
    df: int


def scatter(parts: IntArray) -> Scatter:
    """How counts scatter between parts: `int64[k, bins]`, empty parts left out."""
    table = parts[parts.sum(axis=1) > 0].astype(np.float64)
    sizes, totals = table.sum(axis=1), table.sum(axis=0)
    rows = sizes.sum()
    if len(table) < 2:
        return Scatter(0.0, 0)
    table = _without_rare_bins(table, totals * sizes.min() / rows)
    totals = table.sum(axis=0)
    if len(totals) < 2:
        return Scatter(0.0, 0)
    expected = sizes[:, None] * totals / rows
    statistic = float(((table - expected) ** 2 / expected).sum())
    return Scatter(statistic, (len(sizes) - 1) * (len(totals) - 1))


def dispersion(parts: IntArray, *, floor: float = 1.0) -> float:
    """phi of one column between consecutive parts `int64[k, bins]`; at least 1 and `floor`.

    `floor`: what is known without looking, such as window / period of a declared entity, each of
    which may be counted that many times.
    """
    found = scatter(parts)
    return max(1.0, floor, found.statistic / found.df if found.df else 1.0)


def dispersions(columns: Sequence[IntArray], *, floor: float = 1.0) -> FloatArray:
    """phi of each column of one window, `float64[columns]`, each helped by the others.

    columns: `int64[k, bins]` for each. With few parts one column's phi is uncertain by a factor
    (its logarithm has the variance 2 / df), but burstiness is a property of the traffic: where
    columns scatter no more differently than chance allows, all get their common phi; where they
    do differ, each keeps its own. In between, the logarithms are shrunk to their mean by the
    empirical Bayes weight of DerSimonian and Laird (1986). A column whose scatter cannot be seen,
    because all but one of its bins are rare, gets the common phi.
    """
    found = [scatter(parts) for parts in columns]
    df = np.array([one.df for one in found], np.float64)
    known = df > 0
    result = np.ones(len(found))
    if known.any():
        statistic = np.array([one.statistic for one in found])
        own, common = _shrunk(statistic[known], df[known])
        result[:] = common
        result[known] = own
    return np.maximum(result, max(1.0, floor))


def equal_parts(parts: IntArray, k: int = PARTS) -> IntArray:
    """Group consecutive sub-snapshots `int64[j, bins]` into at most `k` of nearly equal count.

    Cuts are made where the running count comes nearest to i/k of the whole, but for parts of less
    than half the size aimed at: they would make every bin a rare one. What came in one sub-snapshot
    cannot be cut, so there may be fewer parts; of a window that is one burst there is one.
    """
    running = np.cumsum(parts.sum(axis=1))
    if not len(parts) or not running[-1]:
        return parts[:0]
    whole = int(running[-1])
    goals = whole * np.arange(1, k) / k
    after = np.clip(np.searchsorted(running, goals), 1, max(len(running) - 1, 1)) - 1
    later = np.minimum(after + 1, len(running) - 1)
    nearest = np.where(goals - running[after] < running[later] - goals, after, later)
    starts = [0]
    begun = 0
    for end in np.unique(nearest).tolist():
        count = int(running[end])
        if min(count - begun, whole - count) >= whole / k / 2:
            starts.append(end + 1)
            begun = count
    grouped: IntArray = np.add.reduceat(parts, starts, axis=0)
    return grouped


def _without_rare_bins(table: FloatArray, least: FloatArray) -> FloatArray:
    """The table with its rare bins as one; `least`: what the smallest part expects in each bin."""
    table = table[:, least > 0]
    least = least[least > 0]
    rare = least < _LEAST_EXPECTED
    if not rare.any():
        return table
    if least[rare].sum() < _LEAST_EXPECTED and not rare.all():
        rare[np.flatnonzero(~rare)[np.argmin(least[~rare])]] = True
    return np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])


def _shrunk(statistic: FloatArray, df: FloatArray) -> tuple[FloatArray, float]:
    """phi of each column, shrunk to the common one as far as they do not differ; and that one."""
    variance = 2 / df
    # The mean of the logarithm of a chi-square variable over its df is -1/df.
    logs = np.log(np.maximum(statistic / df, _LEAST_PHI)) + 1 / df
    weight = 1 / variance
    common = (weight @ logs) / weight.sum()
    excess = weight @ (logs - common) ** 2 - (len(logs) - 1)
    scale = weight.sum() - (weight @ weight) / weight.sum()
    between = max(0.0, excess / scale) if len(logs) > 1 else 0.0
    weight = 1 / (variance + between)
    common = (weight @ logs) / weight.sum()
    kept = between / (between + variance)
    return np.exp(common + kept * (logs - common)), float(np.exp(common))
