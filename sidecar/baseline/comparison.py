"""What is different between two baselines.

Columns that are counted alike are compared by the statistics of drift; of others it is said what
changed about them, with a few quantiles of both. Learned from different data, the edges of numeric
columns always differ: for statistics the second baseline is built *like* the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from sidecar.baseline.baseline import Baseline
from sidecar.baseline.records import Estimate
from sidecar.drift import Evidence, evidence
from sidecar.model import ColumnKind, ColumnPart
from sidecar.sketch import Column, Distribution

QUANTILES: Final = (0.05, 0.5, 0.95)
_SHOWN: Final = 5


class Summary(Struct, frozen=True, kw_only=True):
    """A column in a few words; `quantiles` are those of QUANTILES, None of categories."""

    column: str
    part: ColumnPart
    kind: ColumnKind
    rows: int
    values: int
    missing: float
    mean: float | None
    quantiles: tuple[float, ...] | None
    most_frequent: str | None
    bins: int


class ColumnDifference(Struct, frozen=True, kw_only=True):
    """One column in both: `changed` says how it is counted differently, else there is evidence."""

    column: str
    part: ColumnPart
    first: Summary
    second: Summary
    changed: str | None
    evidence: Evidence | None


class FigureDifference(Struct, frozen=True, kw_only=True):
    """A figure of performance in both, `apart` when the intervals do not overlap."""

    figure: str
    first: Estimate
    second: Estimate
    apart: bool


class Difference(Struct, frozen=True, kw_only=True):
    """All that is different; names of columns that only one has, and what a person should know."""

    rows: tuple[int, int]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    columns: tuple[ColumnDifference, ...]
    performance: tuple[FigureDifference, ...]
    remarks: tuple[str, ...]


def compare(first: Baseline, second: Baseline) -> Difference:
    """The difference, `first` being the reference."""
    ours = {(one.column.part, one.column.name): one for one in _all(first)}
    theirs = {(one.column.part, one.column.name): one for one in _all(second)}
    return Difference(
        rows=(first.rows, second.rows),
        only_first=tuple(key[1] for key in ours if key not in theirs),
        only_second=tuple(key[1] for key in theirs if key not in ours),
        columns=tuple(_column(one, theirs[key]) for key, one in ours.items() if key in theirs),
        performance=tuple(_performance(first, second)),
        remarks=tuple(same_data(first, second)),
    )


def same_data(first: Baseline, second: Baseline) -> Iterable[str]:
    """A remark for each file that both were learned from.

    What a model was trained or accepted on says nothing about how well it does on other data.
    """
    known = {source.sha256: source.name for source in first.provenance.sources}
    for source in second.provenance.sources:
        if source.sha256 in known:
            yield (
                f"{source.name} has the same content as {known[source.sha256]}: one data set "
                "serves as baseline and as evaluation, so that agreement means nothing"
            )


def summarise(distribution: Distribution) -> Summary:
    """A column in a few words."""
    column, values = distribution.column, distribution.count
    numeric = column.kind is ColumnKind.NUMERIC
    own = evidence(distribution, distribution).reference
    quantiles = [distribution.quantile(q) for q in QUANTILES] if numeric else []
    top = int(distribution.values.argmax())
    return Summary(
        column=column.name,
        part=column.part,
        kind=column.kind,
        rows=distribution.rows,
        values=values,
        missing=distribution.missing / max(distribution.rows, 1),
        mean=own.mean,
        quantiles=tuple(one.estimate for one in quantiles if one is not None) or None,
        most_frequent=(*column.categories, "other")[top] if values and not numeric else None,
        bins=len(column.bins),
    )


def _all(baseline: Baseline) -> tuple[Distribution, ...]:
    return (*baseline.distributions, *baseline.measured)


def _column(first: Distribution, second: Distribution) -> ColumnDifference:
    changed = _changed(first.column, second.column)
    return ColumnDifference(
        column=first.column.name,
        part=first.column.part,
        first=summarise(first),
        second=summarise(second),
        changed=changed,
        evidence=evidence(first, second) if changed is None else None,
    )


def _changed(first: Column, second: Column) -> str | None:
    if first == second:
        return None
    if first.kind is not second.kind:
        return f"was {first.kind}, is {second.kind}"
    if first.kind is ColumnKind.NUMERIC:
        return "other edges"
    known, now = set(first.categories), set(second.categories)
    gone, new = sorted(known - now), sorted(now - known)
    said = [f"without {_listed(gone)}"] * bool(gone) + [f"new: {_listed(new)}"] * bool(new)
    return "; ".join(said) or "the same categories in another order"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" * (len(names) > _SHOWN)
    return ", ".join(names[:_SHOWN]) + more


def _performance(first: Baseline, second: Baseline) -> Iterable[FigureDifference]:
    if first.performance is None or second.performance is None:
        return
    for figure, before in first.performance.figures.items():
        after = second.performance.figures.get(figure)
        if after is not None:
            yield FigureDifference(
                figure=figure, first=before, second=after, apart=_apart(before, after)
            )


def _apart(one: Estimate, other: Estimate) -> bool:
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.high < other.low or other.high < one.low
