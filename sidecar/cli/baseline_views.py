"""How `sidecar baseline` shows baselines and their differences, to people and to programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from sidecar.baseline import Baseline
from sidecar.baseline.comparison import ColumnDifference, Difference, Summary, summarise
from sidecar.baseline.records import Estimate
from sidecar.cli import output


def machine_form(shown: Baseline | Difference) -> Any:  # noqa: ANN401 - JSON
    """Plain values: a baseline without its counts, or a difference whole."""
    if isinstance(shown, Difference):
        return msgspec.to_builtins(shown)
    return {
        "model": shown.model,
        "rows": shown.rows,
        "provisional": shown.provisional,
        "positive": shown.positive,
        "content_hash": shown.content_hash,
        "columns": msgspec.to_builtins([summarise(one) for one in shown.distributions]),
        "measures": msgspec.to_builtins([summarise(one) for one in shown.measured]),
        "segments": {
            one.name: dict(zip((*one.values, "other"), one.rows, strict=True))
            for one in shown.segments
        },
        "performance": msgspec.to_builtins(shown.performance),
        "business": msgspec.to_builtins(shown.business),
        "traffic": msgspec.to_builtins(shown.traffic),
        "span": msgspec.to_builtins(shown.span),
        "provenance": msgspec.to_builtins(shown.provenance),
    }


def show(baseline: Baseline) -> None:
    """Words about the whole, then a table of the columns."""
    for line in _about(baseline):
        output.say(line)
    output.table(
        ["column", "part", "kind", "n", "missing %", "mean", "p5", "p50", "p95", "bins"],
        [_row(summarise(one)) for one in (*baseline.distributions, *baseline.measured)],
    )


def show_difference(difference: Difference) -> None:
    """Columns that only one has, then how the others compare."""
    output.say(f"{difference.rows[0]} rows, then {difference.rows[1]}")
    for which, names in (("A", difference.only_first), ("B", difference.only_second)):
        if names:
            output.say(f"only in {which}: {', '.join(names)}")
    for figure in difference.performance:
        verdict = "  (intervals apart)" if figure.apart else ""
        output.say(f"{figure.figure}: {_told(figure.first)}, then {_told(figure.second)}{verdict}")
    output.table(
        ["column", "part", "PSI", "KS", "W/IQR", "missing %", "middle", "changed"],
        [_difference_row(one) for one in difference.columns],
    )


def _about(baseline: Baseline) -> Iterable[str]:
    provisional = ", PROVISIONAL: learned from the first rows that came" * baseline.provisional
    yield f"baseline of {baseline.model}: {baseline.rows} rows{provisional}"
    if baseline.span is not None:
        yield f"  from {baseline.span.start} to {baseline.span.end}"
    for source in baseline.provenance.sources:
        yield f"  {source.name}: {source.rows} rows, sha256 {source.sha256[:12]}…"
    if baseline.traffic is not None:
        traffic = baseline.traffic
        yield (
            f"  route {traffic.route}: {traffic.requests} requests in {traffic.seconds:.0f} s "
            f"({traffic.requests_per_second:.4g}/s), {traffic.failed} failed"
        )
    if baseline.performance is not None:
        positive = f", positive is {baseline.performance.positive}"
        told = positive * (baseline.performance.positive is not None)
        yield f"  {baseline.performance.task} on {baseline.performance.rows} rows{told}:"
        for name, estimate in baseline.performance.figures.items():
            yield f"    {name} {_told(estimate)}"
    for name, figure in baseline.business.items():
        yield f"  {name}: mean {_told(figure.mean)}, sum {figure.total:.6g} of {figure.n} rows"
    for segment in baseline.segments:
        values = zip((*segment.values, "other"), segment.rows, strict=True)
        yield f"  by {segment.name}: " + ", ".join(f"{value} {rows}" for value, rows in values)


def _told(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.4g} (n {estimate.n})"
    return f"{estimate.value:.4g} [{estimate.low:.4g}, {estimate.high:.4g}] (n {estimate.n})"


def _row(summary: Summary) -> list[object]:
    low, middle, high = summary.quantiles or (None, summary.most_frequent, None)
    return [
        summary.column,
        summary.part,
        summary.kind,
        summary.values,
        round(100 * summary.missing, 2),
        summary.mean,
        low,
        middle,
        high,
        summary.bins,
    ]


def _difference_row(one: ColumnDifference) -> list[object]:
    evidence = one.evidence
    return [
        one.column,
        one.part,
        evidence and evidence.psi,
        evidence and evidence.ks,
        evidence and evidence.wasserstein_scaled,
        f"{100 * one.first.missing:.3g} → {100 * one.second.missing:.3g}",
        f"{_middle(one.first)} → {_middle(one.second)}",
        one.changed,
    ]


def _middle(summary: Summary) -> str:
    """The median, or the most frequent category."""
    if summary.quantiles is not None:
        return f"{summary.quantiles[1]:.4g}"
    return summary.most_frequent or "-"
