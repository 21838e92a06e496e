"""Who is observed, and how their values are counted: the plan before anything has a place. Pure.

Every model in its role on a route is one subject, unless the route's payload is `none` or
`monitor.enabled` is false. Its columns come from a *reference*:

    primary            its baseline file, else what was learned of it (provisional)
    canary, shadow     its own baseline file, else the reference of the route's primary: over the
                       same edges the two can be compared; of a shadow only what it says

Until there is a reference, only measures (latency, sizes) are counted, and the primary's rows are
asked for. So are they when a segment key lists no values and no reference says which to tell apart.
A route's canaries and shadows have its primary's segments, so that blocks compare, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from sidecar.baseline import Baseline, measure_columns
from sidecar.config.monitoring import MonitorSettings, Segment
from sidecar.config.observation import SegmentPlan
from sidecar.config.settings import RouteSettings
from sidecar.model import CellKey, ColumnPart, Role
from sidecar.payload import PayloadSettings, Protocol
from sidecar.sketch import AreaLayout, BlockCounter, Column, WatchCounter

OTHER: Final = "other"
"""How people are shown what is none of a segment's values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What was learned of a primary: a provisional baseline, and what its bodies speak."""

    baseline: Baseline
    protocol: Protocol = Protocol.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model in its role on a route, and how it is observed.

    `baseline` is what it is compared with (None: nothing yet); `learn` is how many rows are asked
    for. `owner` names the series of its numbers: it is the same for subjects that count alike, so a
    baseline file of which a remark was edited goes on with the history there is.
    """

    key: CellKey
    payload: PayloadSettings
    features: tuple[str, ...]
    segments: tuple[SegmentPlan, ...]
    columns: tuple[Column, ...]
    measures: tuple[Column, ...]
    baseline: Baseline | None
    learn: int
    layout: AreaLayout
    owner: str

    @property
    def provisional(self) -> bool:
        """Whether its reference was learned from the first rows that came."""
        return self.baseline is not None and self.baseline.provisional


def subjects(
    routes: Sequence[RouteSettings],
    monitor: MonitorSettings,
    *,
    baselines: Mapping[str, Baseline],
    lessons: Mapping[CellKey, Lesson],
    learned_rows: Mapping[CellKey, int],
) -> list[Subject]:
    """Everything that shall be observed: primaries first, then canaries, then shadows.

    `baselines` are those of files, by model; `lessons` and `learned_rows` say what was learned so
    far of primaries.
    """
    if not monitor.enabled:
        return []
    found = [
        subject
        for route in routes
        if route.payload.codec is not Protocol.NONE
        for subject in _of_route(route, monitor, baselines, lessons, learned_rows)
    ]
    order = list(Role)
    return sorted(found, key=lambda subject: order.index(subject.key.role))


def _of_route(
    route: RouteSettings,
    monitor: MonitorSettings,
    baselines: Mapping[str, Baseline],
    lessons: Mapping[CellKey, Lesson],
    learned_rows: Mapping[CellKey, int],
) -> Iterator[Subject]:
    primary = primary_of(route)
    lesson = lessons.get(primary)
    learned = None if lesson is None else lesson.baseline
    reference = baselines.get(route.primary) or learned
    known = [one for one in (baselines.get(route.primary), learned) if one is not None]
    segments = tuple(_segment(segment, known) for segment in route.segments)
    measures = measure_columns(openai=_may_speak_openai(route.payload, lesson, reference))
    lacks_values = any(
        not segment.values
        and not any(one.name == segment.name for b in known for one in b.segments)
        for segment in route.segments
    )
    learn = 0
    if lesson is None and (reference is None or lacks_values):
        learn = max(monitor.learn_rows - learned_rows.get(primary, 0), 0)
    for key in _keys(route):
        compared = baselines.get(key.model) or reference
        columns = () if compared is None else compared.columns
        if key.role is Role.SHADOW:  # it gets what the primary gets, whose features are counted
            columns = tuple(one for one in columns if one.part is not ColumnPart.FEATURE)
        layout = AreaLayout(columns, measures, sum(len(one.values) + 1 for one in segments) or 1)
        yield Subject(
            key=key,
            payload=route.payload,
            features=route.payload.features or (() if compared is None else compared.features),
            segments=segments,
            columns=columns,
            measures=measures,
            baseline=compared,
            learn=learn if key == primary else 0,
            layout=layout,
            owner=_owner(key, segments, layout),
        )


def _keys(route: RouteSettings) -> Iterator[CellKey]:
    yield primary_of(route)
    for canary in route.canaries:
        yield CellKey(route=route.name, model=canary.model, role=Role.CANARY)
    for shadow in route.shadows:
        yield CellKey(route=route.name, model=shadow.model, role=Role.SHADOW)


def primary_of(route: RouteSettings) -> CellKey:
    """The key of a route's primary."""
    return CellKey(route=route.name, model=route.primary, role=Role.PRIMARY)


def _may_speak_openai(
    payload: PayloadSettings, lesson: Lesson | None, reference: Baseline | None
) -> bool:
    """Whether tokens shall be counted. Where nothing says yes or no, it costs little."""
    if payload.codec is not Protocol.AUTO:
        return payload.codec is Protocol.OPENAI
    if lesson is not None:
        return lesson.protocol is Protocol.OPENAI
    return reference is None or not reference.features


def _segment(segment: Segment, known: Sequence[Baseline]) -> SegmentPlan:
    """A segment key with its values: listed, or of the first reference that has the key.

    A value that is called `other` counts as what it says.
    """
    values = segment.values
    if not values:
        of_key = (
            one.values
            for baseline in known
            for one in baseline.segments
            if one.name == segment.name
        )
        values = next(of_key, ())
    told_apart = tuple(value for value in values if value != OTHER)
    return SegmentPlan(name=segment.name, source=segment.source, values=told_apart)


def _owner(key: CellKey, segments: Sequence[SegmentPlan], layout: AreaLayout) -> str:
    """16 hexadecimal digits over all that gives the numbers of a subject their meaning."""
    meaning = [
        [key.route, key.model, key.role],
        [[segment.name, *segment.values] for segment in segments],
        [column.content_hash for column in (*layout.columns, *layout.measures)],
        [*WatchCounter.__members__, *BlockCounter.__members__, layout.words],
    ]
    return hashlib.blake2b(msgspec.msgpack.encode(meaning), digest_size=8).hexdigest()
