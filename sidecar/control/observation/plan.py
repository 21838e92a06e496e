"""The plan that workers are sent, and what the controller knows of each watch in it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.baseline import Baseline
from sidecar.config.monitoring import DriftSettings, MonitorSettings
from sidecar.config.observation import ObservationPlan, SegmentPlan, Watch
from sidecar.control.observation.seating import Seating
from sidecar.control.observation.subjects import Subject
from sidecar.model import CellKey
from sidecar.sketch import AreaLayout, Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A model in its role on a route that is observed.

    `owner` names its series in the history; `watch.owner` is another name, that of its present
    place on the board. `baseline` is what it is compared with, None while that is being learned.
    """

    owner: str
    watch: Watch
    layout: AreaLayout
    baseline: Baseline | None

    @property
    def key(self) -> CellKey:
        """Route, model, role."""
        return self.watch.key

    @property
    def provisional(self) -> bool:
        """Whether its reference was learned from the first rows that came."""
        return self.baseline is not None and self.baseline.provisional

    @property
    def columns(self) -> tuple[Column, ...]:
        """What is counted per row."""
        return self.watch.columns

    @property
    def measures(self) -> tuple[Column, ...]:
        """What is counted per request."""
        return self.watch.measures

    @property
    def segments(self) -> tuple[SegmentPlan, ...]:
        """The keys by which blocks are kept apart; without any there is one block."""
        return self.watch.segments

    @property
    def whole(self) -> range:
        """The blocks that sum to everything: those of the first key."""
        return range(len(self.segments[0].values) + 1) if self.segments else range(1)

    def blocks(self, segment: str) -> dict[str | None, int]:
        """The block of each value of a segment key, None for `other`. Raises KeyError."""
        at = 0
        for one in self.segments:
            if one.name == segment:
                return {value: at + place for place, value in enumerate((*one.values, None))}
            at += len(one.values) + 1
        raise KeyError(segment)


def watched(subjects: Sequence[Subject], seating: Seating) -> tuple[Watched, ...]:
    """Those of the subjects that have a seat."""
    found = []
    for subject in subjects:
        seat = seating.seat(subject.owner)
        if seat is None:
            continue
        watch = Watch(
            key=subject.key,
            slot=seat.slot,
            at=seat.at,
            owner=seat.tenant,
            payload=subject.payload,
            features=subject.features,
            segments=subject.segments,
            columns=subject.columns,
            measures=subject.measures,
            learn=subject.learn,
        )
        found.append(
            Watched(
                owner=subject.owner, watch=watch, layout=subject.layout, baseline=subject.baseline
            )
        )
    return tuple(found)


def observation_plan(
    version: int,
    monitor: MonitorSettings,
    drift: DriftSettings,
    seated: Sequence[Watched],
) -> ObservationPlan:
    """What the workers are told. An entity counts once per shortest window unless it says more."""
    entity = drift.entity
    period_s = 0.0
    if entity is not None:
        period_s = float(entity.per or min(drift.windows, default=0.0))
    return ObservationPlan(
        version=version,
        settings=monitor,
        entity=entity,
        entity_period_s=period_s,
        watches=tuple(one.watch for one in seated),
    )
