"""Which comparisons somebody wants to see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sidecar.config.monitoring import DriftSettings
from sidecar.config.problems import did_you_mean
from sidecar.config.units import format_duration, parse_duration
from sidecar.control.drift.judgements import SegmentValue
from sidecar.control.observation import Watched
from sidecar.errors import ClientError
from sidecar.model import CellKey, Role

_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A choice among models, windows, references and segments; None does not narrow it.

    window:       a configured length, in any spelling
    segment:      the name of a segment key: one comparison for each of its values, or only for that
                  of `value` (`other` for those not told apart)
    first, last:  names of two snapshots: what passed between them, instead of the windows
    evidence_for: columns whose evidence is wanted whether they alarm or not; None: all
    """

    route: str | None = None
    model: str | None = None
    role: Role | None = None
    window: str | None = None
    reference: str | None = None
    segment: str | None = None
    value: str | None = None
    first: str | None = None
    last: str | None = None
    evidence_for: frozenset[str] | None = frozenset()

    def means(self, key: CellKey) -> bool:
        """Whether it is about this model."""
        return (
            self.route in {None, key.route}
            and self.model in {None, key.model}
            and self.role in {None, key.role}
        )

    def windows(self, settings: DriftSettings) -> dict[str, float]:
        """The lengths that are meant, in seconds, by their names. Raises ClientError (none)."""
        lengths = {window_name(length): float(length) for length in settings.windows}
        if self.window is None:
            return lengths
        try:
            name = window_name(parse_duration(self.window))
        except ValueError:
            name = self.window
        _require(name, lengths, "window", "drift.windows")
        return {name: lengths[name]}

    def references(self, settings: DriftSettings) -> tuple[str, ...]:
        """The references that are meant. Raises ClientError (none)."""
        if self.reference is None:
            return settings.references
        _require(
            self.reference, dict.fromkeys(settings.references), "reference", "drift.references"
        )
        return (self.reference,)

    def blocks(self, watched: Watched) -> dict[SegmentValue | None, int | None]:
        """The blocks that are meant, None for everything; nothing where the key is not known."""
        if self.segment is None:
            return {None: None}
        if all(segment.name != self.segment for segment in watched.segments):
            return {}
        found = watched.blocks(self.segment)
        wanted = found if self.value is None else {_told_apart(self.value, found): 0}
        return {SegmentValue(key=self.segment, value=value): found[value] for value in wanted}


def window_name(length_s: float) -> str:
    """How a window is called everywhere: `5m`, `1h`, `24h`; from two whole days on `2d`, `7d`."""
    return "24h" if length_s == _DAY_S else format_duration(length_s)


def _told_apart(value: str, found: dict[str | None, int]) -> str | None:
    return value if value in found else None


def _require(name: str, known: dict[str, object] | dict[str, float], what: str, key: str) -> None:
    if name not in known:
        raise ClientError(
            f"{what} {name!r} is none of `{key}`; {did_you_mean(name, known)}",
            status=422,
            code=f"unknown_{what}",
        )
