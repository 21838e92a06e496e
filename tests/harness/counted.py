"""Columns, distributions and verdicts by a few words, for tests of drift."""

import numpy as np

from sidecar.drift import Comparison, Span, Thresholds, judge
from sidecar.model import ColumnKind, ColumnPart
from sidecar.sketch.columns import Column
from sidecar.sketch.distribution import Distribution

EVEN = (1000,) * 10
"""10,000 rows over ten bins: the reference of `judged`."""
SAME = (100,) * 10
"""1,000 rows without a shift."""
SLIGHT = (144, 128, 117, 108, 100, 94, 88, 81, 75, 65)
"""A PSI of 0.05 against EVEN: no drift, and more than nothing."""
SHIFTED = (190, 160, 130, 110, 95, 85, 75, 65, 50, 40)
"""A PSI of 0.21."""
FAR = (400, 300, 150, 50, 40, 30, 15, 10, 3, 2)
"""A PSI of 1.9."""


def numbers(edges, *, bins=(0,), summed=(), center=0.0, name="x", part=ColumnPart.FEATURE):
    """A numeric column."""
    return Column(
        name=name,
        part=part,
        kind=ColumnKind.NUMERIC,
        edges=tuple(map(float, edges)),
        bins=tuple(bins),
        summed=tuple(summed),
        center=center,
    )


def names(*categories, name="x", part=ColumnPart.FEATURE):
    """A categorical column: every category is a bin, and so is `other`."""
    return Column(
        name=name,
        part=part,
        kind=ColumnKind.CATEGORICAL,
        categories=categories,
        bins=tuple(range(len(categories) + 1)),
    )


def counted(column, counts, *, sums=(), missing=0, nonfinite=0):
    """Counts by bucket, and of what is no value."""
    return Distribution(
        column, np.array([*counts, missing, nonfinite]), np.array(sums, dtype=np.float64)
    )


def of_values(column, values):
    """What is counted of `float64[n]` in a numeric column."""
    values = np.asarray(values, dtype=np.float64)
    some = values[np.isfinite(values)]
    buckets = np.searchsorted(column.edges, some, side="right")
    return counted(
        column,
        np.bincount(buckets, minlength=column.value_buckets),
        sums=[(some[buckets == bucket] - column.center).sum() for bucket in column.summed],
        missing=int(np.isnan(values).sum()),
        nonfinite=int(np.isinf(values).sum()),
    )


def ten_bins(counts, *, name="x", part=ColumnPart.FEATURE, missing=0):
    """A numeric column of ten buckets, each of which is a bin."""
    column = numbers(range(9), bins=range(10), name=name, part=part)
    return counted(column, counts, missing=missing)


def judged(
    columns,
    *,
    against="baseline",
    parts=None,
    overrides=None,
    thresholds=None,
    phi=1.0,
    reference_phi=1.0,
    missing=None,
    with_evidence=False,
):
    """Verdicts on `{name: counts of ten bins}`, compared with EVEN."""
    comparisons = []
    for name, counts in columns.items():
        part = (parts or {}).get(name, ColumnPart.FEATURE)
        absent = (missing or {}).get(name, 0)
        comparisons.append(
            Comparison(
                reference=ten_bins(EVEN, name=name, part=part),
                current=ten_bins(counts, name=name, part=part, missing=absent),
                reference_phi=reference_phi,
                phi=phi,
            )
        )
    return judge(
        comparisons,
        thresholds or Thresholds(),
        overrides,
        reference=Span(name=against, start_ns=0, end_ns=10),
        window=Span(name="5m", start_ns=20, end_ns=30),
        with_evidence=with_evidence,
    )
