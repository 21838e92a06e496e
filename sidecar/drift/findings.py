"""What many verdicts say together: season, many small shifts, a model that changed by itself.

    seasonal      drift against the baseline, but not against the same hour a week ago
    compound      no column drifts by itself, but several have shifted a little, together
    model_drift   the inputs are steady, but predictions or scores have shifted
    missing       the share of rows that have no value for a column has shifted

Must not know: where verdicts come from, who is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from math import atan, ceil, pi

import numpy as np
from msgspec import Struct

from sidecar.drift.special import FloatArray, ncx2_sf_screened
from sidecar.drift.verdict import Span, Status, Verdict
from sidecar.model import ColumnPart

SMALL = 0.2
"""From which share of its threshold on a shift is a small one: a PSI of 0.02 by default."""

COMPOUND_SIGNIFICANCE = 0.01
"""Stricter than for columns: it is the one question asked of all of them."""

_SEVERAL = 0.1
_FEWEST = 2
"""How many columns are several: this share of them, and no fewer than this number."""

_TINY = 1e-300
"""Its tangent still has an inverse."""


class FindingKind(StrEnum):
    """What can be found in the verdicts of a window; see the module's text."""

    SEASONAL = "seasonal"
    COMPOUND = "compound"
    MODEL_DRIFT = "model_drift"
    MISSING = "missing"


class Finding(Struct, frozen=True, kw_only=True):
    """Something that holds of several verdicts, with the columns it rests on, the strongest
    first."""

    kind: FindingKind
    features: tuple[str, ...]
    p: float | None
    reference: Span
    window: Span
    why: str


def summarise(
    verdicts: Mapping[str, Sequence[Verdict]],
    *,
    baseline: str = "baseline",
    seasons: Sequence[str] = ("week",),
) -> list[Finding]:
    """All findings of one window.

    verdicts:  by the name of the reference, what `judge` returned
    baseline:  the reference that knows no season
    seasons:   references as old as a season is long
    """
    findings = [
        found
        for season in seasons
        for found in seasonal(verdicts.get(baseline, ()), verdicts.get(season, ()))
    ]
    for judged in verdicts.values():
        together = compound(judged)
        changed = None if together else model_drift(judged)
        findings += [found for found in (together, changed) if found]
        findings += missing(judged)
    return findings


def seasonal(baseline: Sequence[Verdict], season: Sequence[Verdict]) -> Iterator[Finding]:
    """At most one finding: the columns that drifted from the baseline, and are as a season ago.

    It says something of an alarm and takes none back: a shift that has lasted for longer than the
    season looks the same.
    """
    steady = {(one.part, one.feature): one for one in season if _is_steady(one)}
    found = [
        (verdict, steady[verdict.part, verdict.feature])
        for verdict in _strongest_first([one for one in baseline if one.alarms])
        if (verdict.part, verdict.feature) in steady
    ]
    if not found:
        return
    (verdict, then), names = found[0], tuple(one.feature for one, _ in found)
    yield Finding(
        kind=FindingKind.SEASONAL,
        features=names,
        p=None,
        reference=then.reference,
        window=then.window,
        why=(
            f"{_listed(names)} drifted from {verdict.reference.name} and not from "
            f"{then.reference.name}: the PSI of {verdict.feature} is {verdict.judged_psi:.3f} "
            f"against the one and {then.judged_psi:.3f} against the other, n = {then.n:,}."
        ),
    )


def compound(verdicts: Sequence[Verdict]) -> Finding | None:
    """Several columns that have each shifted too little to be drift, judged together.

    The p of each column is that of "its PSI is at most a fifth of its threshold", since any trifle
    is significant in enough rows. Those that alarm by themselves have been told of, and are not
    asked.
    """
    quiet = [one for one in verdicts if one.status is Status.OK and one.p is not None]
    several = _several(len(quiet))
    if len(quiet) < several:
        return None
    p = _small_shift_p(quiet)
    combined = partial_conjunction(p)
    if combined > COMPOUND_SIGNIFICANCE:
        return None
    order = np.argsort(p, kind="stable")
    surely = int((p <= COMPOUND_SIGNIFICANCE).sum())
    names = tuple(quiet[at].feature for at in order[: max(surely, several)])
    first = quiet[int(order[0])]
    return Finding(
        kind=FindingKind.COMPOUND,
        features=names,
        p=combined,
        reference=first.reference,
        window=first.window,
        why=(
            f"No column drifted from {first.reference.name} by itself, but at least {several} of "
            f"{len(quiet)} have shifted a little (p = {combined:.2g}, limit "
            f"{COMPOUND_SIGNIFICANCE:g}), most of all {_listed(names)}; n = {first.n:,}."
        ),
    )


def model_drift(verdicts: Sequence[Verdict]) -> Finding | None:
    """Predictions or scores that have shifted while all inputs that could be judged have not.

    Not said when no input could be judged. Whether inputs have shifted a little together is for the
    caller to ask first.
    """
    outputs = [one for one in verdicts if one.part in {ColumnPart.PREDICTION, ColumnPart.SCORE}]
    shifted = _strongest_first([one for one in outputs if one.alarms])
    inputs = [one for one in verdicts if one.part is ColumnPart.FEATURE and one.p is not None]
    if not shifted or not inputs or any(one.alarms for one in inputs):
        return None
    first, names = shifted[0], tuple(one.feature for one in shifted)
    return Finding(
        kind=FindingKind.MODEL_DRIFT,
        features=names,
        p=first.p_adjusted,
        reference=first.reference,
        window=first.window,
        why=(
            f"{_listed(names)} drifted from {first.reference.name} (PSI {first.judged_psi:.3f}, "
            f"p = {first.p_adjusted:.2g}, n = {first.n:,}), while none of {len(inputs)} inputs "
            "did: the model itself may have changed, or an input that is not observed."
        ),
    )


def missing(verdicts: Sequence[Verdict]) -> Iterator[Finding]:
    """One finding for each column of which more or fewer rows now have no value."""
    for verdict in verdicts:
        absence = verdict.missing
        if absence is None or absence.status not in {Status.DRIFT, Status.MAJOR}:
            continue
        yield Finding(
            kind=FindingKind.MISSING,
            features=(verdict.feature,),
            p=absence.p_adjusted,
            reference=verdict.reference,
            window=verdict.window,
            why=(
                f"{verdict.feature} has no value in {absence.current:.2%} of {absence.n:,} rows, "
                f"against {absence.reference:.2%} of {absence.m:,} in {verdict.reference.name} "
                f"(PSI {absence.psi:.3f}, p = {absence.p_adjusted:.2g})."
            ),
        )


def partial_conjunction(p: FloatArray) -> float:
    """The p value of "fewer than u columns have shifted": u is a tenth of them, at least 2.

    No single column can carry it: the u - 1 smallest p are left out, and the others combined by
    Cauchy's statistic, which is valid for small p however the columns depend on each other,

        T = mean of tan(pi (1/2 - p)),    combined p = 1/2 - atan(T) / pi

    with p cut at 1/2, lest columns that certainly have not shifted speak against the others. Cost:
    a sort. References: Benjamini and Heller, Biometrics 64 (2008); Liu and Xie, J. Am. Stat. Assoc.
    115 (2020); on cutting Fang, Chang, Park, Tseng, Statistica Sinica 33 (2023).
    """
    asked = np.sort(p)[_several(len(p)) - 1 :]
    # tan(pi (1/2 - p)) is 1 / tan(pi p), which keeps its precision where p is small.
    statistic = float((1 / np.tan(pi * np.clip(asked, _TINY, 0.5))).mean())
    # Likewise 1/2 - atan(T) / pi is atan(1/T) / pi.
    return atan(1 / statistic) / pi if statistic > 0 else 0.5


def _several(count: int) -> int:
    return max(_FEWEST, ceil(_SEVERAL * count))


def _small_shift_p(verdicts: Sequence[Verdict]) -> FloatArray:
    psi = np.array([one.judged_psi or 0.0 for one in verdicts])
    size = np.array([one.size for one in verdicts])
    df = np.array([one.df for one in verdicts])
    least = np.array([SMALL * one.threshold for one in verdicts])
    return ncx2_sf_screened(psi * size, df, least * size)


def _is_steady(verdict: Verdict) -> bool:
    """Judged, not an alarm, and not above the threshold either."""
    psi = verdict.judged_psi
    return verdict.p is not None and psi is not None and psi < verdict.threshold


def _strongest_first(verdicts: Sequence[Verdict]) -> list[Verdict]:
    return sorted(verdicts, key=lambda one: -(one.judged_psi or 0.0))


def _listed(names: Sequence[str], most: int = 3) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
