"""One column in full, as the API shows it: the bins of both sides, and how their rows fared. Pure.

The bins are those by which drift is judged, so that their shares of PSI sum to the whole; behind
them stand missing values and infinities, which are no part of it. The cells of the histograms,
which are finer, are given for whoever wants to draw them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from sidecar.admin.drift_views import (
    SegmentView,
    SideView,
    VerdictView,
    segment_view,
    side_view,
    value_text,
    verdict_view,
)
from sidecar.control.drift import FeatureDetail
from sidecar.control.observation import OTHER
from sidecar.drift.psi import FLOOR
from sidecar.model import ColumnKind, Role
from sidecar.sketch import Column, Distribution

_CATEGORIES_NAMED: Final = 3
_NS_PER_MS: Final = 1_000_000


class OutcomeView(Struct, frozen=True, kw_only=True):
    """How rows fared; null where there were none.

    `mean_ms` is low by the share of rows that clients aborted: these are counted, and have no
    latency that says something of the model.
    """

    rows: int
    failed: int
    failed_share: float | None
    mean_ms: float | None


class BinView(Struct, frozen=True, kw_only=True):
    """Values from `low` on and below `high` (null: without end), or `categories`.

    Shares are of the values; `psi` is what the bin adds to the whole, null of what is no value.
    """

    label: str
    low: float | None
    high: float | None
    categories: tuple[str, ...]
    reference: int
    current: int
    reference_share: float
    share: float
    psi: float | None
    outcomes: OutcomeView


class CellsView(Struct, frozen=True, kw_only=True):
    """All cells of both histograms: below the first edge, between edges, from the last one on."""

    edges: tuple[float, ...]
    categories: tuple[str, ...]
    reference: list[int]
    current: list[int]


class SegmentOutcomeView(Struct, frozen=True, kw_only=True):
    """How the rows of a segment value fared."""

    segment: SegmentView
    outcomes: OutcomeView


class FeatureView(Struct, frozen=True, kw_only=True):
    """The answer of `/api/v1/drift/features`."""

    route: str
    model: str
    role: Role
    feature: str
    window: str
    reference: str
    segment: SegmentView | None
    provisional: bool
    current: SideView | None
    against: SideView | None
    verdict: VerdictView
    bins: list[BinView]
    cells: CellsView
    segments: list[SegmentOutcomeView]


def feature_view(found: FeatureDetail) -> FeatureView:
    """One column of one model."""
    column = found.found.column
    return FeatureView(
        route=found.key.route,
        model=found.key.model,
        role=found.key.role,
        feature=column.name,
        window=found.window,
        reference=found.reference,
        segment=segment_view(found.segment),
        provisional=found.provisional,
        current=side_view(found.verdict.window, found.rows),
        against=side_view(found.verdict.reference, found.reference_rows),
        verdict=verdict_view(found.verdict),
        bins=list(_bins(found)),
        cells=CellsView(
            edges=column.edges,
            categories=(*column.categories, OTHER) if column.categories else (),
            reference=found.expected.values.tolist(),
            current=found.found.values.tolist(),
        ),
        segments=[
            SegmentOutcomeView(
                segment=SegmentView(key=one.segment.key, value=value_text(one.segment.value)),
                outcomes=_outcome(one.rows, one.failed, one.latency_ns),
            )
            for one in found.segments
        ],
    )


def bounds(column: Column) -> list[tuple[float | None, float | None]]:
    """From where to where each bin of a numeric column reaches; None: without end."""
    edges = column.edges
    starts = [None if bucket == 0 else edges[bucket - 1] for bucket in column.bins]
    return list(zip(starts, [*starts[1:], None], strict=True))


def labels(column: Column) -> list[str]:
    """Each bin in words."""
    if column.kind is ColumnKind.NUMERIC:
        return [_between(low, high) for low, high in bounds(column)]
    return [_named(names) for names in categories(column)]


def categories(column: Column) -> list[tuple[str, ...]]:
    """The categories of each bin; the last one's last is `other`."""
    names = (*column.categories, OTHER)
    stops = [*column.bins[1:], len(names)]
    return [names[start:stop] for start, stop in zip(column.bins, stops, strict=True)]


def _bins(found: FeatureDetail) -> Iterator[BinView]:
    column, outcomes = found.found.column, found.outcomes
    fared = [
        _outcome(*figures)
        for figures in zip(
            outcomes.rows.tolist(),
            outcomes.failed.tolist(),
            outcomes.latency_ns.tolist(),
            strict=True,
        )
    ]
    expected, current = found.expected.binned, found.found.binned
    p, q = _shares(found.expected), _shares(found.found)
    numeric = column.kind is ColumnKind.NUMERIC
    ends: Sequence[tuple[float | None, float | None]]
    ends = bounds(column) if numeric else [(None, None)] * len(column.bins)
    named = [()] * len(column.bins) if numeric else categories(column)
    for place, label in enumerate(labels(column)):
        yield BinView(
            label=label,
            low=ends[place][0],
            high=ends[place][1],
            categories=named[place],
            reference=int(expected[place]),
            current=int(current[place]),
            reference_share=p[place],
            share=q[place],
            psi=_part_of_psi(p[place], q[place]) if expected.sum() and current.sum() else None,
            outcomes=fared[place],
        )
    for label, before, now, fares in (
        ("missing", found.expected.missing, found.found.missing, fared[-2]),
        ("infinite", found.expected.nonfinite, found.found.nonfinite, fared[-1]),
    ):
        if before or now:
            yield BinView(
                label=label,
                low=None,
                high=None,
                categories=(),
                reference=before,
                current=now,
                reference_share=before / max(found.expected.rows, 1),
                share=now / max(found.found.rows, 1),
                psi=None,
                outcomes=fares,
            )


def _shares(distribution: Distribution) -> list[float]:
    shares: list[float] = (distribution.binned / max(distribution.count, 1)).tolist()
    return shares


def _part_of_psi(p: float, q: float) -> float:
    p, q = max(p, FLOOR), max(q, FLOOR)
    return (q - p) * math.log(q / p)


def _outcome(rows: int, failed: int, latency_ns: int) -> OutcomeView:
    return OutcomeView(
        rows=rows,
        failed=failed,
        failed_share=failed / rows if rows else None,
        mean_ms=latency_ns / rows / _NS_PER_MS if rows else None,
    )


def _between(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "all"
    if low is None:
        return f"below {high:.5g}"
    if high is None:
        return f"from {low:.5g}"
    if high <= np.nextafter(low, np.inf):
        return f"{low:.5g}"
    return f"{low:.5g} to {high:.5g}"


def _named(names: tuple[str, ...]) -> str:
    more = len(names) - _CATEGORIES_NAMED
    return ", ".join(names[:_CATEGORIES_NAMED]) + (f" and {more} more" if more > 0 else "")
