"""Counts of simulated traffic as windows, and what the product's own code says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from loadtests.honesty.traffic import LAWS, Counts, Floats
from sidecar.drift import (
    Comparison,
    Finding,
    Span,
    Thresholds,
    Verdict,
    dispersions,
    equal_parts,
    judge,
    summarise,
)
from sidecar.model import ColumnKind, ColumnPart
from sidecar.sketch.columns import Column
from sidecar.sketch.distribution import Distribution

_OUTPUT: Final = 2
"""The last of the features stand for a prediction and a score, so that model drift can be found."""


def _column(number: int, bins: int) -> Column:
    part = ColumnPart.FEATURE if number < len(LAWS) - _OUTPUT else ColumnPart.SCORE
    return Column(
        name=f"x{number}",
        part=part,
        kind=ColumnKind.CATEGORICAL,
        categories=tuple(str(name) for name in range(bins - 1)),
        bins=tuple(range(bins)),
    )


COLUMNS: Final = tuple(_column(number, len(law)) for number, law in enumerate(LAWS))


@dataclass(frozen=True, slots=True)
class Sample:
    """One side of a comparison: counts of each feature, and how dependent its rows are."""

    distributions: tuple[Distribution, ...]
    phi: Floats

    @property
    def rows(self) -> int:
        """All rows."""
        return self.distributions[0].rows


def window(slices: Counts, *, floor: float = 1.0) -> Sample:
    """A window as the product sees it: `int64[slice, feature, bucket]`, with phi of its parts."""
    phi = dispersions(
        [equal_parts(slices[:, at, : len(law)]) for at, law in enumerate(LAWS)], floor=floor
    )
    return Sample(_distributions(slices.sum(axis=0)), phi)


def baseline(slices: Counts) -> Sample:
    """A baseline: rows are taken as independent."""
    return Sample(_distributions(slices.sum(axis=0)), np.ones(len(LAWS)))


def verdicts(current: Sample, reference: Sample, thresholds: Thresholds) -> list[Verdict]:
    """What the gate says of every feature."""
    return judge(
        [
            Comparison(
                reference=expected, current=found, reference_phi=reference_phi, phi=current_phi
            )
            for expected, found, reference_phi, current_phi in zip(
                reference.distributions,
                current.distributions,
                reference.phi.tolist(),
                current.phi.tolist(),
                strict=True,
            )
        ],
        thresholds,
        reference=Span(name="reference"),
        window=Span(name="window"),
        with_evidence=False,
    )


def findings(judged: Sequence[Verdict]) -> list[Finding]:
    """What the verdicts say together."""
    return summarise({"reference": judged})


def _distributions(counts: Counts) -> tuple[Distribution, ...]:
    return tuple(
        Distribution(
            column,
            np.concatenate((counts[at, : column.value_buckets], counts[at, -1:], [0])),
            np.zeros(0),
        )
        for at, column in enumerate(COLUMNS)
    )
