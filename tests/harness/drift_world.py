"""A watched model whose traffic is made up and whose history is real.

world = DriftWorld(tmp_path, baseline=learn("stable", rows(50_000)))
world.pass_rows(rows(10_000), minutes=5)      # what passed in the next five minutes
world.watch                                   # a DriftWatch over it
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from sidecar.baseline import Baseline, measure_columns
from sidecar.baseline.counting import as_numbers, buckets_of
from sidecar.config.monitoring import DriftSettings, MonitorSettings
from sidecar.config.observation import SegmentPlan, Watch
from sidecar.control.drift.judgements import Round
from sidecar.control.drift.watch import DriftWatch
from sidecar.control.observation.history import History
from sidecar.control.observation.plan import Watched
from sidecar.control.observation.store import SnapshotStore
from sidecar.model import CellKey, Role
from sidecar.payload import PayloadSettings, Source
from sidecar.sketch.areas import Area, AreaLayout, BlockCounter

START_NS = 1_700_000_000 * 10**9
MINUTE_NS = 60 * 10**9

Rows = Mapping[str, Any]


def rows(count: int, seed: int, *, shift: float = 0.0, features: int = 3) -> dict[str, Any]:
    """Numbers, of which `x0` is shifted, a category, a prediction, a score; by seed."""
    rng = np.random.default_rng(seed)
    numbers = {f"x{place}": rng.normal(size=count) for place in range(features)}
    numbers["x0"] = numbers["x0"] + shift
    score = rng.random(count).round(2)
    return {
        **numbers,
        "plan": rng.choice(["basic", "plus", "pro"], size=count, p=[0.6, 0.3, 0.1]).tolist(),
        "prediction": (score > 0.7).astype(np.float64),
        "score": score,
    }


def counted(watched: Watched, values: Rows, *, failed: Any = None, latency_ns: Any = None) -> Area:
    """An area in which these rows were counted once, by NumPy."""
    layout = watched.layout
    words = np.zeros(layout.words, np.int64)
    blocks = layout.blocks_of(words)
    count = len(next(iter(values.values())))
    failed = np.zeros(count, np.int64) if failed is None else np.asarray(failed, np.int64)
    latency = np.full(count, 10**7) if latency_ns is None else np.asarray(latency_ns, np.int64)
    for block in _blocks(watched, values, count):
        np.add.at(blocks, (block, BlockCounter.ROWS), 1)
        np.add.at(blocks, (block, BlockCounter.REQUESTS), 1)
        np.add.at(blocks, (block, BlockCounter.FAILED_ROWS), failed)
        for column in watched.columns:
            place = layout.place(column)
            numbers = as_numbers(column, _values(column.name, values))
            buckets, deviations = buckets_of(column, numbers)
            np.add.at(blocks, (block, layout.counts.start + place.counts.start + buckets), 1)
            for at, bucket in enumerate(column.summed):
                there = buckets == bucket
                sums = layout.sums_of(blocks)
                np.add.at(sums, (block[there], place.sums.start + at), deviations[there])
            bins = np.searchsorted(column.bins, buckets, side="right") - 1
            special = buckets >= column.value_buckets
            bins[special] = len(column.bins) + buckets[special] - column.value_buckets
            np.add.at(blocks[:, layout.failed], (block, place.bins.start + bins), failed)
            np.add.at(blocks[:, layout.latency], (block, place.bins.start + bins), latency)
    return Area(layout, words)


def _values(name: str, values: Rows) -> Any:
    if name == "confidence" and name not in values:  # of two classes
        return np.maximum(values["score"], 1 - values["score"])
    return values[name]


def _blocks(watched: Watched, values: Rows, count: int) -> Iterator[np.ndarray]:
    """The block of each row, for each segment key."""
    if not watched.segments:
        yield np.zeros(count, np.int64)
    for segment in watched.segments:
        places = watched.blocks(segment.name)
        yield np.array([places.get(value, places[None]) for value in values[segment.name]])


class DriftWorld:
    """The `Observed` of a `DriftWatch`; time passes only by `pass_rows` and `wait`."""

    def __init__(
        self,
        directory: Path,
        *,
        baseline: Baseline | None,
        drift: DriftSettings | None = None,
        segments: Mapping[str, Sequence[str]] | None = None,
        role: Role = Role.PRIMARY,
    ) -> None:
        self.drift = drift or DriftSettings(windows=(300.0, 3600.0))
        self.monitor = MonitorSettings()
        self.history = History(SnapshotStore(directory), self.drift)
        self.history.load()
        self.now_ns = START_NS
        self.known: tuple[Watched, ...] = ()
        self._totals: dict[str, Area] = {}
        self.add(baseline, segments=segments, role=role)
        self.seconds = 0.0
        self.watch = DriftWatch(self, monotonic_s=self._clock)
        self.wait(minutes=0)

    def add(
        self,
        baseline: Baseline | None,
        *,
        route: str = "iris",
        model: str = "stable",
        role: Role = Role.PRIMARY,
        segments: Mapping[str, Sequence[str]] | None = None,
    ) -> Watched:
        """Watch one more model."""
        plans = tuple(
            SegmentPlan(name=name, source=Source(header=f"x-{name}"), values=tuple(values))
            for name, values in (segments or {}).items()
        )
        columns = () if baseline is None else baseline.columns
        measures = measure_columns(openai=False)
        watch = Watch(
            key=CellKey(route=route, model=model, role=role),
            slot=0,
            at=0,
            owner=f"tenant-{len(self.known)}",
            payload=PayloadSettings(),
            features=() if baseline is None else baseline.features,
            segments=plans,
            columns=columns,
            measures=measures,
            learn=0 if baseline is not None else 2000,
        )
        layout = AreaLayout(columns, measures, watch.block_count)
        one = Watched(
            owner=f"owner-{len(self.known)}", watch=watch, layout=layout, baseline=baseline
        )
        self.known = (*self.known, one)
        self._totals[one.owner] = Area.empty(layout)
        return one

    def watched(self) -> tuple[Watched, ...]:
        return self.known

    def rows_learned(self, primary: CellKey) -> int:
        return 1234

    def pass_rows(self, values: Rows, *, minutes: int = 5, which: int = 0, **outcomes: Any) -> None:
        """Let rows pass, evenly over so many minutes, with a snapshot after each."""
        one = self.known[which]
        count = len(next(iter(values.values())))
        cuts = np.linspace(0, count, minutes + 1).astype(int)
        for first, last in pairwise(cuts):
            part = {name: column[first:last] for name, column in values.items()}
            more = {name: outcome[first:last] for name, outcome in outcomes.items()}
            self._totals[one.owner] = self._totals[one.owner].merge(counted(one, part, **more))
            self.wait(minutes=1)

    def wait(self, *, minutes: int) -> None:
        """Let time pass, and take a snapshot."""
        self.now_ns += minutes * MINUTE_NS
        self.history.take(self.now_ns, self._totals)

    def judged(self) -> Round:
        """The round after the newest snapshot."""
        asyncio.run(self.watch.after_snapshot(self.history.newest_ns))
        return self.watch.round

    def configure(self, **changed: Any) -> None:
        """Other settings of drift from now on."""
        self.drift = msgspec.structs.replace(self.drift, **changed)
        self.history.configure(self.drift)

    def _clock(self) -> float:
        self.seconds += 0.25
        return self.seconds
