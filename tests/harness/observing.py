"""Plans to observe by, bodies to observe, and a monitor without a worker around it."""

from __future__ import annotations

import json
import os
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

import numpy as np

from harness.counting import categorical, numeric
from sidecar.baseline import measure_columns
from sidecar.board import Board, BoardLayout, CellCounter
from sidecar.board.jit import Kernels, warm
from sidecar.config.monitoring import MonitorSettings
from sidecar.config.observation import ObservationPlan, SegmentPlan, Watch
from sidecar.model import CellKey, ColumnPart, Role
from sidecar.monitor import Ended, Findings, Monitor, Request, Ticket
from sidecar.payload import Outputs, PayloadSettings
from sidecar.payload.row_answers import RowAnswers
from sidecar.proxy.chunked import payload_of
from sidecar.sketch import Area, AreaLayout, Column, WatchCounter

PATH = b"/v2/models/m/infer"
EVEN = tuple(np.linspace(-4.0, 4.0, 65).tolist())
SHARES = tuple(np.linspace(0.0, 1.0, 41).tolist())
TENTHS = tuple(range(0, 41, 4))
OUTCOMES = tuple(
    one
    for one in WatchCounter
    if one.name in {"READ", "SHED", "QUEUE_FULL"} or one.name.startswith("UNREAD")
)
AREA_WORDS = 1 << 16  # room for each watch


def names_of(width: int) -> tuple[str, ...]:
    return tuple(f"f{number}" for number in range(width))


def features(width: int) -> tuple[Column, ...]:
    """So many numeric features, most of whose standard normal values are inside."""
    return tuple(numeric(name, EVEN, bins=(0, 20, 33, 46)) for name in names_of(width))


OUTPUTS = (
    categorical("prediction", ("0", "1"), part=ColumnPart.PREDICTION),
    numeric("score", SHARES, part=ColumnPart.SCORE),
    numeric("confidence", SHARES, part=ColumnPart.SCORE, bins=(0, 24, 30)),
)


def watch(
    columns: Sequence[Column] | None = None,
    *,
    model: str = "stable",
    role: Role = Role.PRIMARY,
    slot: int = 0,
    segments: tuple[SegmentPlan, ...] = (),
    payload: PayloadSettings | None = None,
    openai: bool = False,
    **more: Any,
) -> Watch:
    """A watch of route `all`; each slot has its own place. Without columns: three features."""
    chosen = (*features(3), *OUTPUTS) if columns is None else tuple(columns)
    return Watch(
        **{
            "key": CellKey(route="all", model=model, role=role),
            "slot": slot,
            "at": slot * AREA_WORDS,
            "owner": f"{model} {role}",
            "payload": payload or PayloadSettings(),
            "features": tuple(one.name for one in chosen if one.part is ColumnPart.FEATURE),
            "columns": chosen,
            "measures": measure_columns(openai),
            "segments": segments,
            **more,
        }
    )


def shadow_watch(model: str = "trial", slot: int = 1, **more: Any) -> Watch:
    return watch(more.pop("columns", OUTPUTS), model=model, role=Role.SHADOW, slot=slot, **more)


def plan(*watches: Watch, version: int = 1, settings: Any = None, **more: Any) -> ObservationPlan:
    """Everything is read, unless `settings` say something else."""
    chosen = MonitorSettings(**{"max_cpu_share": 1.0, **(settings or {})})
    return ObservationPlan(version=version, settings=chosen, watches=watches, **more)


def inference(rows: Sequence[Sequence[object]], name: str = "x") -> bytes:
    """An Open Inference request: one tensor with a row for each."""
    data = [value for row in rows for value in row]
    shape = [len(rows), len(rows[0])]
    tensor = {"name": name, "shape": shape, "datatype": "FP64", "data": data}
    return json.dumps({"id": "r1", "inputs": [tensor]}).encode()


def probabilities(*positive: float) -> bytes:
    """An Open Inference answer with two probabilities per row."""
    data = [value for one in positive for value in (1 - one, one)]
    tensor = {"name": "predict_proba", "shape": [len(positive), 2], "datatype": "FP64"}
    return json.dumps({"model_name": "m", "outputs": [{**tensor, "data": data}]}).encode()


def balanced(area: Area) -> bool:
    """Whether every exchange that was offered has exactly one outcome."""
    return area.counter(WatchCounter.OFFERED) == sum(map(area.counter, OUTCOMES))


def counters(area: Area) -> dict[str, int]:
    """The counters that are not zero."""
    return {one.name: area.counter(one) for one in WatchCounter if area.counter(one)}


@cache
def _kernels() -> Kernels:
    return warm(os.environ)


@dataclass(frozen=True)
class Told:
    """What a sink is told of one exchange."""

    ended: Ended
    outputs: Outputs | None
    segments: Sequence[str | None]
    unusual: float


class Bench:
    """A monitor whose loop and clocks the test turns by hand: `turn`, `elapsed_ns`."""

    def __init__(self, *watches: Watch, settings: Any = None, **more: Any) -> None:
        layout = BoardLayout(
            workers=1, cells=16, model_rows=1, arena_words=16 * AREA_WORDS, watch_slots=16
        )
        self.board = Board.allocate(layout, _kernels())
        self.elapsed_ns = 0
        self.costs_ns = 0  # of each look at the clock
        self.wall_ns = 0
        self.learned: list[dict[str, Any]] = []
        self.takes_learned = True
        self.told: list[Told] = []
        self.left_unread: list[Ended] = []
        self._due: deque[Callable[[], None]] = deque()
        self._ids = count()
        self.monitor = Monitor(
            self.board.recorder(0),
            dechunk=payload_of,
            clock_ns=self._clock_ns,
            wall_ns=lambda: self.wall_ns,
            random=random.Random(more.pop("seed", 1)).random,
            soon=self._due.append,
            later=lambda _, call: self._due.append(call),
            learned=self._take_learned,
            sink=self if more.pop("with_sink", False) else None,
        )
        self.watches = watches
        if watches:
            self.install(*watches, settings=settings, **more)

    def install(self, *watches: Watch, settings: Any = None, **more: Any) -> None:
        self.watches = watches
        cells = [one.key for one in watches]
        self.monitor.install(plan(*watches, settings=settings, **more), cells)

    def _clock_ns(self) -> int:
        self.elapsed_ns += self.costs_ns
        return self.elapsed_ns

    def _take_learned(self, **chunk: Any) -> bool:
        if self.takes_learned:
            self.learned.append(chunk)
        return self.takes_learned

    def found(self, findings: Findings) -> None:
        said = findings.said
        for at, one in enumerate(findings.exchanges):
            outputs = said.outputs(at) if isinstance(said, RowAnswers) else said
            segments = findings.segments[at] if findings.segments else ()
            self.told.append(Told(one, outputs, segments, findings.unusual[at]))

    def left(self, ended: Ended) -> None:
        self.left_unread.append(ended)

    def offer(
        self,
        body: bytes,
        answer: bytes = b"",
        *,
        fields: str = "",
        status: int = 200,
        answer_fields: str = "",
        path: bytes = PATH,
        latency_ns: int = 1_000_000,
        to: int = 0,
        ticket: Ticket | None = None,
        **more: Any,
    ) -> bool:
        """Offer an exchange to the watch at place `to`."""
        request = ticket.request if ticket else self.request(body, fields=fields, path=path)
        for name in ("chunked", "complete", "pieces"):
            if name in more:
                setattr(request, name, more.pop(name))
        watcher = self.monitor.watchers[to]
        assert watcher is not None
        head = f"HTTP/1.1 200 OK\r\n{answer_fields}".encode()
        return self.monitor.offer(
            Ended(
                request,
                watcher,
                cell=to,
                counter=CellCounter.STATUS_2XX if latency_ns >= 0 else CellCounter.ABORTED,
                status=status,
                answer_head=head,
                answer=answer,
                started_ns=0,
                total_ns=latency_ns,
                ticket=ticket,
                **more,
            )
        )

    def request(self, body: bytes, *, fields: str = "", path: bytes = PATH) -> Request:
        head = f"POST {path.decode()} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode()
        return Request(head + body, len(head), path)

    def turn(self, most: int = 100_000) -> int:
        """Let the loop run until nothing is due; how many turns it took."""
        turns = 0
        while self._due and turns < most:
            self._due.popleft()()
            turns += 1
        return turns

    def area(self, at: int = 0) -> Area:
        """What was counted of a watch, after all that waits was read."""
        self.turn()
        self.monitor.flush()
        one = self.watches[at]
        return self.board.read_area(layout_of(one), slot=one.slot, at=one.at, owner=one.owner)


def layout_of(one: Watch) -> AreaLayout:
    return AreaLayout(one.columns, one.measures, one.block_count)
