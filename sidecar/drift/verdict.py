"""What the gate says of one column: a value that explains itself.

Every verdict carries its effect and interval, both p values, both sample sizes and dispersions, the
thresholds, and both windows: a number on a screen is never without them.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from sidecar.drift.evidence import Evidence
from sidecar.drift.settings import Thresholds
from sidecar.model import ColumnKind, ColumnPart


class Status(StrEnum):
    """What is said of a column, in rising order of concern but for the last."""

    OK = "ok"
    DRIFT = "drift"
    MAJOR = "major"
    INSUFFICIENT_DATA = "insufficient_data"


class Span(Struct, frozen=True, kw_only=True):
    """A named stretch of time in nanoseconds since 1970; a baseline may not know its own."""

    name: str
    start_ns: int | None = None
    end_ns: int | None = None


class Absence(Struct, frozen=True, kw_only=True):
    """What the gate says of having no value (missing or infinite): shares of rows, as two bins.

    n, m: rows of the window and of the reference
    """

    status: Status
    reference: float
    current: float
    psi: float | None
    p_adjusted: float | None
    n: int
    m: int


class Verdict(Struct, frozen=True, kw_only=True):
    """The gate's word on one column of a window, compared with one reference.

    psi:                of shares floored at 1e-4: the figure that other tools show
    judged_psi:         of smoothed shares: the figure that the gate judges, `interval` its 95 %
    p, p_adjusted:      of "the PSI is at most `threshold`", alone and among `family` columns
    n, m:               values in the window and in the reference
    phi, reference_phi: their dispersions; n / phi rows would say as much if they were independent
    df, size:           bins less one, and 1/(phi/n + phi/m): PSI times size is nearly chi-square
    thresholds:         what held for this column, overrides included
    missing:            whether the share of rows without a value has shifted; no part of the status
    ignored:            shown, never judged (then `status` is ok)

    What does not exist is None: an interval of an empty side, p values of what was not judged.
    """

    feature: str
    part: ColumnPart
    kind: ColumnKind
    status: Status
    psi: float | None
    judged_psi: float | None
    interval: tuple[float, float] | None
    p: float | None
    p_adjusted: float | None
    n: int
    m: int
    phi: float
    reference_phi: float
    family: int
    df: int
    size: float
    thresholds: Thresholds
    reference: Span
    window: Span
    ignored: bool = False
    missing: Absence | None = None
    evidence: Evidence | None = None

    @property
    def threshold(self) -> float:
        """The PSI from which a shift of this column is drift."""
        return self.thresholds.drift

    @property
    def alarms(self) -> bool:
        """Whether the status is one to be told about."""
        return self.status in {Status.DRIFT, Status.MAJOR}

    @property
    def why(self) -> str:
        """The verdict as one plain sentence: what, how much, how sure, from how much, by what
        rule."""
        if self.ignored:
            return f"{self._effect()}; ignored by configuration."
        if self.status is Status.INSUFFICIENT_DATA:
            return self._too_little()
        return f"{self._effect()}, {self._rule()}; {self._sizes()}."

    def _effect(self) -> str:
        text = f"{self.feature} against {self.reference.name}"
        if self.judged_psi is None or self.interval is None:
            return f"{text}: no values to compare"
        low, high = self.interval
        return f"{text}: PSI {self.judged_psi:.3f} (95 % interval {low:.3f} to {high:.3f})"

    def _rule(self) -> str:
        limits = self.thresholds
        sure = (
            f"p = {self.p_adjusted:.2g} among {self.family} columns, limit {limits.significance:g}"
        )
        if self.status is Status.MAJOR:
            return f"major: at least {limits.major:g}, and above {limits.drift:g} for sure ({sure})"
        if self.status is Status.DRIFT:
            return f"drift: above {limits.drift:g} for sure ({sure})"
        if self.judged_psi is not None and self.judged_psi >= limits.drift:
            return f"ok: not above {limits.drift:g} for sure ({sure})"
        return f"ok: below {limits.drift:g}"

    def _sizes(self) -> str:
        return (
            f"{self.n:,} values (phi {self.phi:.2g}) in {self.window.name} "
            f"against {self.m:,} (phi {self.reference_phi:.2g})"
        )

    def _too_little(self) -> str:
        return (
            f"{self.feature} against {self.reference.name}: not judged, {self._sizes()} make "
            f"{self.n / self.phi:,.0f} and {self.m / self.reference_phi:,.0f} effective ones, "
            f"and both sides need {self.thresholds.minimum:,}."
        )
