"""An observer over a real board and real files, and workers that are reduced to their pens."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sidecar.board import Board, BoardLayout, Kernels, warm
from sidecar.config.monitoring import DriftSettings, MonitorSettings, Segment
from sidecar.config.observation import ObservationPlan
from sidecar.config.settings import Canary, ModelSettings, RouteSettings, Shadow
from sidecar.config.units import Duration
from sidecar.control.messages import Learned
from sidecar.control.observation import Clocks, Observer, Places, Wanted
from sidecar.control.observation.subjects import primary_of
from sidecar.payload import Source
from sidecar.sketch import AreaLayout, BlockCounter

SECOND_NS = 1_000_000_000
ARENA_WORDS = 100_000


@cache
def kernels() -> Kernels:
    return warm(os.environ)


def segment(*values: str, top: int = 2, name: str = "region") -> Segment:
    return Segment(name=name, source=Source(header=f"x-{name}"), values=values, top=top)


def route(
    *segments: Segment, canaries: tuple[str, ...] = (), shadows: tuple[str, ...] = (), **more: Any
) -> RouteSettings:
    return RouteSettings(
        **{
            "name": "iris",
            "primary": "stable",
            "canaries": tuple(Canary(model=model) for model in canaries),
            "shadows": tuple(Shadow(model=model) for model in shadows),
            "segments": segments,
            **more,
        }
    )


def wanted(*routes: RouteSettings, baselines: dict[str, Path] | None = None, **more: Any) -> Wanted:
    routes = routes or (route(),)
    models = {
        model
        for one in routes
        for model in (one.primary, *(x.model for x in (*one.canaries, *one.shadows)))
    }
    files = {name: str(file) for name, file in (baselines or {}).items()}
    return Wanted(
        **{
            "routes": routes,
            "models": {
                name: ModelSettings(url="http://m:1", baseline=files.get(name)) for name in models
            },
            "monitor": MonitorSettings(learn_rows=100),
            "drift": DriftSettings(interval=Duration(10), windows=(Duration(60),)),
            **more,
        }
    )


@dataclass
class Pens:
    """Stands for the control socket and the workers behind it: they open what a plan says."""

    board: Board
    plans: list[ObservationPlan] = field(default_factory=list)
    areas: dict[str, Any] = field(default_factory=dict)
    learned: Callable[[int, Learned], None] | None = None

    def observe(self, plan: ObservationPlan) -> None:
        self.plans.append(plan)
        recorder = self.board.recorder(0)
        for one in plan.watches:
            words = AreaLayout(one.columns, one.measures, one.block_count).words
            self.areas[one.owner] = recorder.open_area(one.slot, one.at, words, one.owner)


class World:
    """One sidecar's state directory, its board, and the controllers that come and go."""

    def __init__(self, folder: Path, wants: Wanted, arena_words: int = ARENA_WORDS) -> None:
        self.folder = folder
        self.wants = wants
        self.arena_words = arena_words
        self.now_ns = 1_700_000_000 * SECOND_NS
        self.boards = 0
        self._salts = itertools.count()
        self.new_board()

    def new_board(self) -> None:
        """As when the launcher starts: nothing is counted."""
        self.boards += 1
        layout = BoardLayout(
            workers=1, cells=1, model_rows=1, arena_words=self.arena_words, watch_slots=4
        )
        self.pens = Pens(Board.allocate(layout, kernels()))

    async def controller(self) -> Observer:
        """A new one, which has begun."""
        self.observer = Observer(
            self.wants,
            board=self.pens.board,
            board_id=str(self.boards),
            workers=self.pens,  # type: ignore[arg-type]
            places=Places(
                memory=self.folder / "observation.msgpack",
                lessons=self.folder / "provisional",
                snapshots=self.folder / "snapshots",
            ),
            clocks=Clocks(wall_ns=lambda: self.now_ns, monotonic_ns=lambda: self.now_ns),
            salts=lambda: str(next(self._salts)),
        )
        await self.observer.begin()
        return self.observer

    def count(self, model: str, requests: int, block: int = 0) -> None:
        """Workers count so many requests of a model."""
        one = self.observer.find(model)
        area = self.pens.areas[one.watch.owner]
        area[one.layout.block_at(block) + BlockCounter.REQUESTS] += requests

    def counted(self, model: str) -> int:
        """How many requests the observer knows of."""
        one = self.observer.find(model)
        return self.observer.live(one.owner).total(one.whole).counter(BlockCounter.REQUESTS)

    async def pass_time(self, seconds: float) -> None:
        """Until the next snapshot, which is taken."""
        self.now_ns += round(seconds * SECOND_NS)
        await self.observer.take()

    def teach(self, rows: int, first: int = 0, worker: int = 0, **more: Any) -> None:
        """A worker sends so many rows of the primary of the first route."""
        primary = primary_of(self.wants.routes[0])
        owner = next(one.watch.owner for one in self.observer.watched() if one.key == primary)
        assert self.pens.learned is not None
        self.pens.learned(worker, learned(rows, first, key=primary, owner=owner, **more))


def learned(count: int, first: int = 0, /, **more: Any) -> Learned:
    """Rows of two features; two of three are from the north."""
    numbers = range(first, first + count)
    return Learned(
        **{
            "names": ("length", "width"),
            "rows": [[float(n), "wide" if n % 2 else "narrow"] for n in numbers],
            "predictions": [n % 3 == 0 for n in numbers],
            "scores": [n % 10 / 10 for n in numbers],
            "segments": {"region": ["south" if n % 3 == 0 else "north" for n in numbers]},
            **more,
        }
    )
