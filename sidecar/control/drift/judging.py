"""From two samples to a judgement: every column by the gate, every segment value in one call.

The verdicts of everything are made in full. Of segment values only how many columns have which
status is kept (fifty values of thirty columns against twelve references are 18,000 verdicts); who
wants to see one is shown it by `judge_block`.

How dependent the rows of a segment value are, they say themselves: those of the whole would be a
poor witness, since one segment may come in bursts and the others not. It takes longer to find out
than all the rest, so a value is first judged as if its rows were independent, which alarms more
easily, and what alarms is judged again. Which columns have too little data is then said of
independent rows, unless one alarms.

Must not know: where samples come from, who is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from sidecar.config.monitoring import DriftSettings, FeatureOverride
from sidecar.control.drift.judgements import SegmentJudgement, SegmentValue
from sidecar.control.drift.packing import Packed, Packing
from sidecar.control.drift.samples import BoolArray, FloatArray, Sample
from sidecar.control.observation import Watched
from sidecar.drift import Comparison, Gated, Status, Verdict, evidence, gate, judge

_NO_OVERRIDE: Final = FeatureOverride()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is called drift, column by column.

    drift, major: float64[column]    PSI from which it is that
    ignored:      bool[column]       shown, never judged
    """

    settings: DriftSettings
    drift: FloatArray
    major: FloatArray
    ignored: BoolArray

    @classmethod
    def of(cls, settings: DriftSettings, packing: Packing) -> Limits:
        """For the columns of a packing."""
        own = [settings.features.get(column.name, _NO_OVERRIDE) for column in packing.columns]
        common = settings.thresholds
        return cls(
            settings=settings,
            drift=np.array([common.drift if one.drift is None else one.drift for one in own]),
            major=np.array([common.major if one.major is None else one.major for one in own]),
            ignored=np.array([one.ignore for one in own], dtype=np.bool_),
        )


def judge_block(
    current: Sample,
    reference: Sample,
    limits: Limits,
    *,
    block: int | None = None,
    evidence_for: frozenset[str] | None = frozenset(),
) -> tuple[Verdict, ...]:
    """The verdicts on all columns, of everything or of one block, one family.

    What alarms has its evidence; so have the columns named in `evidence_for`, None: all.
    """
    comparisons = [
        Comparison(reference=expected, current=found, reference_phi=reference_phi, phi=phi)
        for expected, found, reference_phi, phi in zip(
            reference.distributions(block),
            current.distributions(block),
            reference.phi(block).tolist(),
            current.phi(block).tolist(),
            strict=True,
        )
    ]
    verdicts = judge(
        comparisons,
        limits.settings.thresholds,
        limits.settings.features,
        reference=reference.span,
        window=current.span,
        with_evidence=False,
    )
    return tuple(
        msgspec.structs.replace(
            verdict,
            evidence=evidence(
                comparison.reference,
                comparison.current,
                reference_phi=comparison.reference_phi,
                current_phi=comparison.phi,
            ),
        )
        if verdict.alarms or evidence_for is None or verdict.feature in evidence_for
        else verdict
        for verdict, comparison in zip(verdicts, comparisons, strict=True)
    )


def judge_segments(
    watched: Watched, packing: Packing, current: Sample, reference: Sample, limits: Limits
) -> Iterator[SegmentJudgement]:
    """A summary for every value of every segment key, each value a family of its own."""
    if not watched.segments or not packing.columns:
        return
    floors = np.array(current.floor), np.array(reference.floor)
    gated = _gated(packing, current.blocks, reference.blocks, limits, *floors)
    for segment in watched.segments:
        for value, block in watched.blocks(segment.name).items():
            yield _summary(
                SegmentValue(key=segment.name, value=value),
                packing,
                _again(packing, current, reference, limits, gated, block),
                ignored=limits.ignored,
                rows=int(current.blocks.rows[block, 0]),
                stands_in=bool(reference.stands_in[block]),
            )


def _again(
    packing: Packing, current: Sample, reference: Sample, limits: Limits, gated: Gated, block: int
) -> Gated:
    """What the gate says of one block: asked again, as `judge_block` would, when it alarms."""
    if not gated.drift[block].any():
        return _row(gated, block)
    return _gated(
        packing,
        current.blocks.at(block),
        reference.blocks.at(block),
        limits,
        current.phi(block),
        reference.phi(block),
    )


def _gated(
    packing: Packing,
    current: Packed,
    reference: Packed,
    limits: Limits,
    phi: FloatArray,
    reference_phi: FloatArray,
) -> Gated:
    return gate(
        reference.values,
        current.values,
        packing.bins,
        thresholds=limits.settings.thresholds,
        reference_phi=reference_phi,
        current_phi=phi,
        drift=limits.drift,
        major=limits.major,
        ignored=limits.ignored,
    )


def _row(gated: Gated, block: int) -> Gated:
    names = ("psi", "df", "size", "p", "p_adjusted", "enough", "drift", "major")
    fields: Mapping[str, FloatArray] = {name: getattr(gated, name)[block] for name in names}
    return Gated(**fields)  # type: ignore[arg-type]  # one row of each, whatever its type


def _summary(
    segment: SegmentValue,
    packing: Packing,
    gated: Gated,
    *,
    ignored: BoolArray,
    rows: int,
    stands_in: bool,
) -> SegmentJudgement:
    judged = ~np.isnan(gated.p)
    major, drift = int(gated.major.sum()), int((gated.drift & ~gated.major).sum())
    too_little = int((~gated.enough & ~ignored).sum())
    counts = {
        Status.MAJOR: major,
        Status.DRIFT: drift,
        Status.OK: len(packing.columns) - major - drift - too_little,
        Status.INSUFFICIENT_DATA: too_little,
    }
    psi = np.where(judged, gated.psi, -1.0)
    largest = int(psi.argmax())
    known = psi[largest] >= 0
    return SegmentJudgement(
        segment=segment,
        rows=rows,
        counts=counts,
        feature=packing.columns[largest].name if known else None,
        psi=float(psi[largest]) if known else None,
        stands_in=stands_in,
    )
