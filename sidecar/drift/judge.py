"""From distributions to verdicts: the gate for the columns of one window and one reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
import numpy as np

from sidecar.drift.evidence import evidence
from sidecar.drift.gate import Gated, gate
from sidecar.drift.psi import psi, psi_interval
from sidecar.drift.settings import Thresholds
from sidecar.drift.special import FloatArray
from sidecar.drift.verdict import Absence, Span, Status, Verdict
from sidecar.sketch.distribution import Distribution
from sidecar.sketch.kernels import IntArray


class Override(Protocol):
    """What differs for one column: thresholds, or that it is not judged at all."""

    @property
    def drift(self) -> float | None:
        """PSI from which it is drift; None: as for all."""

    @property
    def major(self) -> float | None:
        """PSI from which it is major; None: as for all."""

    @property
    def ignore(self) -> bool:
        """Whether it is shown and never judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One column on both sides, and how dependent the rows of each are.

    Raises ValueError when the sides were counted in different ways.
    """

    reference: Distribution
    current: Distribution
    reference_phi: float = 1.0
    phi: float = 1.0

    def __post_init__(self) -> None:
        if self.reference.column != self.current.column:
            raise ValueError(
                f"{self.reference.column.name} was counted in two ways, and cannot be compared"
            )


def judge(
    comparisons: Sequence[Comparison],
    thresholds: Thresholds,
    overrides: Mapping[str, Override] | None = None,
    *,
    reference: Span,
    window: Span,
    with_evidence: bool = True,
) -> list[Verdict]:
    """Judge the columns of one window against one reference, in the order given.

    They are one family: Benjamini and Hochberg's procedure runs over those that are judged, not
    over ignored ones or those with too little data. `overrides` go by the column's name. Cost:
    about 0.5 ms and, with evidence, 0.2 ms per column.
    """
    if not comparisons:
        return []
    overrides = overrides or {}
    limits = [_limits(thresholds, overrides.get(one.reference.column.name)) for one in comparisons]
    ignored = [
        one.reference.column.name in overrides and overrides[one.reference.column.name].ignore
        for one in comparisons
    ]
    binned = [(one.reference.binned, one.current.binned) for one in comparisons]
    bins = np.array([len(expected) for expected, _ in binned])
    gated = gate(
        _padded([expected for expected, _ in binned]),
        _padded([found for _, found in binned]),
        bins,
        thresholds=thresholds,
        reference_phi=np.array([one.reference_phi for one in comparisons]),
        current_phi=np.array([one.phi for one in comparisons]),
        drift=np.array([one.drift for one in limits]),
        major=np.array([one.major for one in limits]),
        ignored=np.array(ignored),
    )
    absences = _absences(comparisons, thresholds, limits, ignored)
    low, high = psi_interval(gated.psi, gated.df, gated.size)
    family = int((~np.isnan(gated.p)).sum())
    verdicts = []
    for at, one in enumerate(comparisons):
        column, (expected, found) = one.reference.column, binned[at]
        n, m = int(found.sum()), int(expected.sum())
        verdicts.append(
            Verdict(
                feature=column.name,
                part=column.part,
                kind=column.kind,
                status=_status(gated, at, ignored=ignored[at]),
                psi=psi(expected, found) if n and m else None,
                judged_psi=_number(gated.psi, at),
                interval=(float(low[at]), float(high[at])) if n and m else None,
                p=_number(gated.p, at),
                p_adjusted=_number(gated.p_adjusted, at),
                n=n,
                m=m,
                phi=one.phi,
                reference_phi=one.reference_phi,
                family=family,
                df=int(gated.df[at]),
                size=float(gated.size[at]),
                thresholds=limits[at],
                reference=reference,
                window=window,
                ignored=ignored[at],
                missing=absences[at],
                evidence=evidence(
                    one.reference,
                    one.current,
                    reference_phi=one.reference_phi,
                    current_phi=one.phi,
                )
                if with_evidence
                else None,
            )
        )
    return verdicts


def _absences(
    comparisons: Sequence[Comparison],
    thresholds: Thresholds,
    limits: Sequence[Thresholds],
    ignored: Sequence[bool],
) -> list[Absence]:
    """The gate on rows with a value and rows with none: a family of their own."""
    expected = _present([one.reference for one in comparisons])
    found = _present([one.current for one in comparisons])
    gated = gate(
        expected,
        found,
        2,
        thresholds=thresholds,
        reference_phi=np.array([one.reference_phi for one in comparisons]),
        current_phi=np.array([one.phi for one in comparisons]),
        drift=np.array([one.drift for one in limits]),
        major=np.array([one.major for one in limits]),
        ignored=np.array(ignored),
    )
    n, m = found.sum(axis=1), expected.sum(axis=1)
    current, reference = found[:, 1] / np.maximum(n, 1), expected[:, 1] / np.maximum(m, 1)
    return [
        Absence(
            status=_status(gated, at, ignored=ignored[at]),
            reference=float(reference[at]),
            current=float(current[at]),
            psi=_number(gated.psi, at),
            p_adjusted=_number(gated.p_adjusted, at),
            n=int(n[at]),
            m=int(m[at]),
        )
        for at in range(len(comparisons))
    ]


def _present(side: Sequence[Distribution]) -> IntArray:
    """Rows with a value and rows with none: `int64[columns, 2]`."""
    return np.array([(one.count, one.rows - one.count) for one in side], np.int64)


def _status(gated: Gated, at: int, *, ignored: bool) -> Status:
    if ignored:
        return Status.OK
    if not gated.enough[at]:
        return Status.INSUFFICIENT_DATA
    if gated.major[at]:
        return Status.MAJOR
    return Status.DRIFT if gated.drift[at] else Status.OK


def _limits(thresholds: Thresholds, override: Override | None) -> Thresholds:
    if override is None or (override.drift is None and override.major is None):
        return thresholds
    return msgspec.structs.replace(
        thresholds,
        drift=thresholds.drift if override.drift is None else override.drift,
        major=thresholds.major if override.major is None else override.major,
    )


def _padded(rows: Sequence[IntArray]) -> IntArray:
    """Rows of different lengths as one array, zeros behind them."""
    padded = np.zeros((len(rows), max(len(row) for row in rows)), np.int64)
    for at, row in enumerate(rows):
        padded[at, : len(row)] = row
    return padded


def _number(values: FloatArray, at: int) -> float | None:
    value = float(values[at])
    return None if np.isnan(value) else value
