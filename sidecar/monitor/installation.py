"""From an observation plan to watchers, keeping those that go on as they are.

Everything that can be wrong with a plan is found before the first area is opened: opening one that
was another's clears it.

Must not know: HTTP, queues, budgets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sidecar.board import Recorder
from sidecar.config.observation import ObservationPlan, Watch
from sidecar.errors import ConfigError
from sidecar.model import CellKey, Role
from sidecar.monitor.batch import Batch
from sidecar.monitor.bodies import BodyReader, Dechunk
from sidecar.monitor.entities import EntityTable
from sidecar.monitor.exchanges import Sink
from sidecar.monitor.learning import Learned, Learner
from sidecar.monitor.quick import QuickReader
from sidecar.monitor.rows import RowCoder
from sidecar.monitor.segments import SegmentKey, SourcedValue, asked_of_codec
from sidecar.monitor.watcher import Setup, Watcher
from sidecar.payload import Codec, PayloadSettings, Source, codec_for, raw_codec_for
from sidecar.sketch import AreaLayout, WatchCounter

_COUNTERS: Final = len(WatchCounter)

Watchers = dict[CellKey, Watcher]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What there will be: watchers that are kept, and what new ones are to be made of."""

    plan: ObservationPlan
    kept: Watchers
    setups: Mapping[CellKey, Setup]


class Installation:
    """Makes watchers; `learned` and `sink` may be nobody."""

    def __init__(
        self,
        recorder: Recorder,
        *,
        dechunk: Dechunk,
        wall_ns: Callable[[], int],
        learned: Learned | None,
        sink: Sink | None,
    ) -> None:
        self._recorder = recorder
        self._dechunk = dechunk
        self._wall_ns = wall_ns
        self._learned = learned
        self._sink = sink
        self._entities = EntityTable(0, wall_ns)

    def prepare(
        self, plan: ObservationPlan, before: ObservationPlan | None, installed: Watchers
    ) -> Prepared:
        """Everything up to the first change. Raises ConfigError."""
        alike = (
            before is not None
            and before.settings.max_body == plan.settings.max_body
            and before.entity == plan.entity
            and before.entity_period_s == plan.entity_period_s
        )
        kept = {
            watch.key: installed[watch.key]
            for watch in plan.watches
            if alike and watch.key in installed and installed[watch.key].watch == watch
        }
        return Prepared(plan=plan, kept=kept, setups=self._setups(plan, kept))

    def open(self, prepared: Prepared) -> Watchers:
        """The watchers of a plan. Those that are not kept must have been retired."""
        period_s = prepared.plan.entity_period_s
        if self._entities.period_s != period_s:
            self._entities = EntityTable(period_s, self._wall_ns)
        made = {key: self._watcher(setup) for key, setup in prepared.setups.items()}
        return {**prepared.kept, **made}

    def _setups(
        self, plan: ObservationPlan, kept: Mapping[CellKey, Watcher]
    ) -> dict[CellKey, Setup]:
        """What new watchers are to be made of. Raises ConfigError."""
        codecs = _Codecs(int(plan.settings.max_body))
        setups: dict[CellKey, Setup] = {}
        for watch in plan.watches:
            if watch.key in kept:
                continue
            try:
                setups[watch.key] = self._setup(watch, plan, codecs)
                self._recorder.check_area(watch.slot, watch.at, setups[watch.key].layout.words)
            except (ConfigError, IndexError, ValueError) as error:
                key = watch.key
                raise ConfigError(
                    f"cannot observe {key.model} ({key.role}) on route {key.route}: {error}"
                ) from error
        return setups

    def _setup(self, watch: Watch, plan: ObservationPlan, codecs: _Codecs) -> Setup:
        entity = plan.entity if plan.entity_period_s > 0 else None
        sources = [segment.source for segment in watch.segments]
        asked = asked_of_codec([*sources, entity.source] if entity else sources)
        layout = AreaLayout(watch.columns, watch.measures, watch.block_count)
        bases = [layout.block_at(block) for block in range(layout.block_count)]
        keys: list[SegmentKey] = []
        for segment in watch.segments:
            own, bases = bases[: len(segment.values) + 1], bases[len(segment.values) + 1 :]
            keys.append(SegmentKey(segment, asked, own))
        quick = None
        if not asked:
            quick = QuickReader(
                watch,
                codecs.raw(watch),
                self._recorder.kernels,
                max_bytes=int(plan.settings.max_body),
                is_shadow=watch.key.role is Role.SHADOW,
            )
        return Setup(
            watch=watch,
            layout=layout,
            bodies=BodyReader(watch.payload, codecs.codec(watch, asked), self._dechunk),
            coder=RowCoder(watch.columns, features_counted=watch.key.role is not Role.SHADOW),
            keys=tuple(keys),
            entity=SourcedValue(entity.source, asked) if entity else None,
            quick=quick if entity is None else None,
            sink=self._sink,
        )

    def _watcher(self, setup: Setup) -> Watcher:
        watch = setup.watch
        area = self._recorder.open_area(watch.slot, watch.at, setup.layout.words, watch.owner)
        batch = Batch(setup.layout, area, len(setup.keys) or 1, self._recorder.kernels.count_values)
        learner = None
        if watch.learn and self._learned is not None:
            learner = Learner(watch.key, watch.owner, watch.learn, self._learned)
        watcher = Watcher(
            setup,
            memoryview(area[:_COUNTERS]),  # type: ignore[arg-type]  # an array is a buffer
            batch,
            entities=self._entities,
            learner=learner,
        )
        if self._sink is not None:
            batch.judged = watcher.judged
        return watcher


class _Codecs:
    """One codec for all watches that read alike: a shadow then knows the forms of its primary."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._made: dict[tuple[PayloadSettings, tuple[Source, ...], tuple[str, ...]], Codec] = {}

    def raw(self, watch: Watch) -> Codec:
        """A codec that leaves answers unread."""
        return raw_codec_for(watch.payload, max_bytes=self._max_bytes, names=watch.features)

    def codec(self, watch: Watch, asked: tuple[Source, ...]) -> Codec:
        key = (watch.payload, asked, watch.features)
        if key not in self._made:
            self._made[key] = codec_for(
                watch.payload, asked, max_bytes=self._max_bytes, names=watch.features
            )
        return self._made[key]
