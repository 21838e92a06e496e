"""The controller's part in observing: it tells workers what to observe, learns, takes snapshots.

Two tasks, owned by `run`, take turns at one lock:

    snapshots    every `drift.interval`: read the board, keep the totals, then call who waits for it
    planning     when routes were reloaded or a reference was learned: seat everybody, tell workers

What reads files, sorts rows or compresses numbers runs in a thread; the loop answers calls
meanwhile. Nothing here is needed for traffic: a plan that does not fit, a disk that is full or a
baseline that cannot be read are said and shown, and requests go on.

A plan changes in this order, so that no count is lost and no window begins late:

    1. a snapshot of what is seated          2. seats and the past are written down
    3. workers are told                      4. a snapshot in which newcomers stand at zero

Must not know: HTTP, what drift is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec import Struct

from sidecar.board import Board
from sidecar.config.monitoring import DriftSettings, MonitorSettings
from sidecar.config.settings import ModelSettings, RouteSettings, Settings
from sidecar.control.messages import Learned
from sidecar.control.observation.history import History, Pin
from sidecar.control.observation.ledger import Ledger
from sidecar.control.observation.memory import Memory, Remembered, ledger_of, past_of
from sidecar.control.observation.plan import Watched, observation_plan, watched
from sidecar.control.observation.references import References
from sidecar.control.observation.seating import Seating, Unwatched
from sidecar.control.observation.store import SnapshotStore
from sidecar.control.observation.subjects import Subject, primary_of
from sidecar.control.observation.timeline import Timeline
from sidecar.control.workers import WorkerControl
from sidecar.disk import replace_file
from sidecar.errors import ClientError
from sidecar.model import CellKey
from sidecar.payload import Protocol
from sidecar.sketch import Area

log: Final = logging.getLogger("sidecar.control")

AfterSnapshot = Callable[[int], Awaitable[None]]
"""Called with the stamp of a snapshot that was just taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the observer keeps its files."""

    memory: Path
    lessons: Path
    snapshots: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """Nanoseconds since 1970, and nanoseconds that only ever rise."""

    wall_ns: Callable[[], int]
    monotonic_ns: Callable[[], int]


class Wanted(Struct, frozen=True, kw_only=True):
    """The part of a configuration that says what is observed."""

    routes: tuple[RouteSettings, ...]
    models: dict[str, ModelSettings]
    monitor: MonitorSettings
    drift: DriftSettings

    @classmethod
    def of(cls, settings: Settings) -> Wanted:
        """That part of a configuration file."""
        return cls(
            routes=settings.routes,
            models=settings.models,
            monitor=settings.monitor,
            drift=settings.drift,
        )


@dataclass(frozen=True, slots=True)
class _Present:
    """What holds now; replaced as a whole, so that a thread may use it while another is made."""

    seating: Seating
    ledger: Ledger
    watched: tuple[Watched, ...] = ()
    unwatched: tuple[Unwatched, ...] = ()


class Observer:
    """See the module's text. Nothing happens before `run`; everything shown is empty until then.

    `board_id` is new whenever the board is; `salts` gives a new text each time; `replace` gives a
    file its content, whole or not at all, and raises OSError.
    """

    def __init__(
        self,
        wanted: Wanted,
        *,
        board: Board,
        board_id: str,
        workers: WorkerControl,
        places: Places,
        clocks: Clocks,
        salts: Callable[[], str],
        replace: Callable[[Path, bytes], None] = replace_file,
    ) -> None:
        self.history = History(SnapshotStore(places.snapshots, replace=replace), wanted.drift)
        self.after_snapshot: list[AfterSnapshot] = []
        self._wanted = wanted
        self._board = board
        self._board_id = board_id
        self._workers = workers
        self._memory = Memory(places.memory, places.lessons, replace=replace)
        self._clocks = clocks
        self._timeline = Timeline(wall_ns=clocks.wall_ns, monotonic_ns=clocks.monotonic_ns)
        self._salts = salts
        self._version = 0
        self._present = _Present(self._no_seats(), Ledger())
        self._references = References(self._memory)
        self._turn = asyncio.Lock()
        self._plan_again = asyncio.Event()

    # -- what is shown -------------------------------------------------------------------------

    @property
    def drift(self) -> DriftSettings:
        """The settings of drift that hold now."""
        return self._wanted.drift

    @property
    def monitor(self) -> MonitorSettings:
        """The settings of the monitor that hold now."""
        return self._wanted.monitor

    @property
    def version(self) -> int:
        """The version of the newest plan; 0: none yet."""
        return self._version

    def watched(self) -> tuple[Watched, ...]:
        """Everything that is observed, primaries first."""
        return self._present.watched

    def unwatched(self) -> tuple[Unwatched, ...]:
        """What should be observed and is not, with the reason."""
        return self._present.unwatched

    def find(self, model: str, route: str | None = None) -> Watched:
        """What is observed of a model, on a route if it is on several; what it answers comes first.

        Raises ClientError: nothing, or a route has to be said.
        """
        of_model = [one for one in self.watched() if one.key.model == model]
        routes = sorted({one.key.route for one in of_model})
        if route is None and len(routes) > 1:
            raise ClientError(
                f"{model!r} is on several routes, say which: {', '.join(routes)}",
                status=422,
                code="which_route",
            )
        for one in of_model:
            if route in {None, one.key.route}:
                return one
        known = ", ".join(f"{one.key.route}/{one.key.model}" for one in self.watched()) or "(none)"
        raise ClientError(
            f"Nothing is observed of {model!r}"
            + (f" on route {route!r}" if route else "")
            + f"; observed are: {known}",
            status=404,
            code="not_observed",
        )

    def live(self, owner: str) -> Area:
        """All that a series has counted, as it stands now. Raises KeyError (not watched)."""
        present = self._present
        for one in present.watched:
            if one.owner == owner:
                return present.ledger.total(owner, self._read(one))
        raise KeyError(owner)

    def rows_learned(self, primary: CellKey) -> int:
        """How many rows of a primary that is being learned have come."""
        return self._references.rows(primary)

    # -- what happens --------------------------------------------------------------------------

    async def run(self) -> None:
        """Observe until cancelled. Then call `close`."""
        await self.begin()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._snapshot_often(), name="snapshots")
            tasks.create_task(self._plan_when_told(), name="planning")

    async def close(self) -> None:
        """Take the last snapshot: what was counted since the last one is in it."""
        async with self._turn:
            if self._version:
                await self._take()

    def want(self, wanted: Wanted) -> None:
        """Observe by another configuration; takes effect soon."""
        self._wanted = wanted
        self._plan_again.set()

    async def snapshot(self, name: str) -> Pin:
        """Take a snapshot now and name it. Raises ClientError."""
        async with self._turn:
            await self._take()
            return await asyncio.to_thread(self.history.pin, name)

    def relearn(self, route: str, model: str | None = None) -> CellKey:
        """Forget what was learned of a route's primary, and learn it anew. Raises ClientError."""
        for settings in self._wanted.routes:
            if settings.name == route and model in {None, settings.primary}:
                primary = primary_of(settings)
                self._references.forget(primary)
                self._plan_again.set()
                return primary
        known = ", ".join(f"{one.name} ({one.primary})" for one in self._wanted.routes)
        raise ClientError(
            f"References are learned of primaries; the routes are: {known}",
            status=404,
            code="unknown_route",
        )

    async def begin(self) -> None:
        """Recall, load, plan, and take a first snapshot."""
        async with self._turn:
            remembered = await asyncio.to_thread(self._memory.read)
            await asyncio.to_thread(self.history.load)
            self._timeline = Timeline(
                wall_ns=self._clocks.wall_ns,
                monotonic_ns=self._clocks.monotonic_ns,
                last_ns=self.history.newest_ns,
            )
            protocols: Mapping[str, Mapping[str, Protocol]] = {}
            if remembered is not None:
                self._version = remembered.version
                protocols = remembered.protocols
            await asyncio.to_thread(self._references.recall, self._wanted.routes, protocols)
            await asyncio.to_thread(self._references.load, self._wanted.models)
            seating, past = self._no_seats(), {}
            if remembered is not None and remembered.board == self._board_id:
                # Only this controller is new: what a reload changed still holds.
                self._wanted = Wanted(
                    routes=self._wanted.routes,
                    models=self._wanted.models,
                    monitor=remembered.monitor,
                    drift=remembered.drift,
                )
                seating, past = remembered.seating, dict(remembered.past)
            self._present = _Present(seating, Ledger())
            layouts = {subject.owner: subject.layout for subject in self._subjects()}
            known = ledger_of(past, layouts)
            seating = Seating(
                arena_words=seating.arena_words,
                slots=seating.slots,
                seats=tuple(seat for seat in seating.seats if seat.owner in known.tenures),
            )
            self._present = _Present(seating, known)
            self._workers.learned = self._learned
            await self._plan()
            await self._take()

    async def _snapshot_often(self) -> None:
        due_s = asyncio.get_running_loop().time()
        while True:
            loop = asyncio.get_running_loop()
            due_s = max(due_s + self._wanted.drift.interval, loop.time())
            await asyncio.sleep(due_s - loop.time())
            async with self._turn:
                stamp_ns = await self._take()
                await asyncio.to_thread(self._references.write)
            for call in self.after_snapshot:
                try:
                    await call(stamp_ns)
                except Exception:  # a bug in what follows must not end the counting
                    log.exception("what follows a snapshot failed")

    async def take(self) -> int:
        """Take a snapshot now; its stamp."""
        async with self._turn:
            return await self._take()

    async def plan(self) -> None:
        """Plan anew, by what is wanted and known now."""
        async with self._turn:
            await self._take()
            wanted, references = self._wanted, self._references
            await asyncio.to_thread(self.history.configure, wanted.drift)
            await asyncio.to_thread(references.load, wanted.models)
            rows_wanted = wanted.monitor.learn_rows
            await asyncio.to_thread(references.learn, wanted.routes, rows_wanted=rows_wanted)
            await asyncio.to_thread(references.write)
            await self._plan()
            await self._take()

    async def _plan_when_told(self) -> None:
        while True:
            await self._plan_again.wait()
            self._plan_again.clear()
            await self.plan()

    async def _plan(self) -> None:
        """Seat everybody, write it down, tell the workers."""
        wanted, before = self._wanted, self._present
        found = self._subjects()
        seating, left_out = before.seating.seated(found, self._salts)
        seated = watched(found, seating)
        ledger = await asyncio.to_thread(
            before.ledger.moved,
            {one.owner: (f"{self._board_id} {one.watch.owner}", one.layout) for one in seated},
            last=self.history.latest,
        )
        self._version += 1
        self._present = _Present(seating, ledger, seated, tuple(left_out))
        self._say_who_is_left_out(before.unwatched)
        remembered = Remembered(
            board=self._board_id,
            version=self._version,
            seating=seating,
            past=await asyncio.to_thread(past_of, ledger),
            monitor=wanted.monitor,
            drift=wanted.drift,
            protocols=self._references.protocols(),
        )
        try:
            await asyncio.to_thread(self._memory.write, remembered)
        except OSError as error:
            log.error(  # noqa: TRY400 - foreseen; the reason says it all
                "cannot write down what is observed; a restarted controller would begin anew",
                extra={"reason": str(error)},
            )
        self._workers.observe(observation_plan(self._version, wanted.monitor, wanted.drift, seated))

    async def _take(self) -> int:
        """Take a snapshot of everybody who is seated; its stamp."""
        stamp_ns, present = self._timeline.stamp_ns(), self._present

        def read_and_keep() -> None:
            totals = {
                one.owner: present.ledger.total(one.owner, self._read(one))
                for one in present.watched
            }
            self.history.take(stamp_ns, totals)

        await asyncio.to_thread(read_and_keep)
        return stamp_ns

    def _read(self, one: Watched) -> Area:
        """What the board says of a watch in its present place."""
        watch = one.watch
        return self._board.read_area(one.layout, slot=watch.slot, at=watch.at, owner=watch.owner)

    # -- learning ------------------------------------------------------------------------------

    def _learned(self, _worker: int, learned: Learned) -> None:
        """Rows came from a worker."""
        if self._references.is_learned(learned.key):
            return  # more than was wanted: every worker sends as much as all of them together may
        if not any(one.watch.learn and one.watch.owner == learned.owner for one in self.watched()):
            return  # of an older plan: they may have been read in another way
        if self._references.take(learned, rows_wanted=self._wanted.monitor.learn_rows):
            self._plan_again.set()

    # -- seats ---------------------------------------------------------------------------------

    def _subjects(self) -> list[Subject]:
        return self._references.subjects(self._wanted.routes, self._wanted.monitor)

    def _no_seats(self) -> Seating:
        layout = self._board.layout
        return Seating(arena_words=layout.arena_words, slots=layout.watch_slots)

    def _say_who_is_left_out(self, before: Sequence[Unwatched]) -> None:
        for one in _new(self._present.unwatched, before):
            log.error(
                "a model is not observed",
                extra={"route": one.key.route, "model": one.key.model, "reason": one.reason},
            )


def _new(now: Sequence[Unwatched], before: Sequence[Unwatched]) -> Iterator[Unwatched]:
    known = {one.key for one in before}
    return (one for one in now if one.key not in known)
