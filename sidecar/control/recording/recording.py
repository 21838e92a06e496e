"""The controller's part in recording: it owns the journal, and everything that reads it.

    books          every BOOKS_S: what was written, what is missing, and why
    pumps          one for each sink, each with a place of its own in the journal
    dead letters   what the answering models failed, from the journal; what sinks refused, from
                   the pumps; replays
    retention      every RETENTION_S: segments that nobody needs, or that are too old or too many

All of it are tasks of one group, begun and ended by `run`. A reload ends the pumps of sinks that
changed or went and begins new ones; the others go on. Nothing in here can hold up a request:
workers write whether or not anybody reads.

Must not know: HTTP, requests, how the admin API shows it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from sidecar.board import Board
from sidecar.config.settings import Settings
from sidecar.config.sinks import SinkSettings
from sidecar.control.recording.books import Balance, BookKeeping
from sidecar.control.recording.retention import Retention
from sidecar.control.recording.standings import cursor_of, cursor_of_dead_letters
from sidecar.delivery.caller import CallOutcome
from sidecar.delivery.dead_letters import (
    Bounds,
    DeadLetterStore,
    FailedPredictions,
    Replayer,
    World,
)
from sidecar.delivery.figures import DeliveryFigures
from sidecar.delivery.policy import PumpPolicy
from sidecar.delivery.pump import Pump
from sidecar.delivery.sink import Item, Unavailable
from sidecar.delivery.sinks import Surroundings, sink_for
from sidecar.delivery.source import JournalSource
from sidecar.errors import SidecarError
from sidecar.journal import CompiledWalk, Quarantine, Reader
from sidecar.logbook import redactor_of
from sidecar.model import CellKey
from sidecar.proxy.endpoint import tls_context
from sidecar.records import Redactor

BOOKS_S: Final = 1.0
SAVE_EVERY: Final = 5  # balances between two that are written down
RETENTION_S: Final = 5.0
DEAD_LETTERS_FILE: Final = "dead_letters.sqlite"

T = TypeVar("T")

log: Final = logging.getLogger("sidecar.recording")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """Nanoseconds since 1970, and nanoseconds that only ever rise."""

    wall_ns: Callable[[], int]
    monotonic_ns: Callable[[], int]


@dataclass(frozen=True, slots=True)
class _Running:
    settings: SinkSettings
    pump: Pump
    task: asyncio.Task[None]


class Recording:
    """See the module's text.

    `launch` names the present sidecar in the journal; `cells` says who has which cell of the board
    now; `environ` is where sinks find their secrets; `ids` gives a new text each time;
    `redaction_key` is what hashes are made with.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        launch: str,
        board: Board,
        cells: Callable[[], Sequence[CellKey | None]],
        environ: Mapping[str, str],
        clocks: Clocks,
        ids: Callable[[], str],
        redaction_key: bytes | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.directory = Path(settings.journal_directory)
        self._settings = settings
        self._key = redaction_key
        self._clocks = clocks
        self._chance = chance
        self._surroundings = Surroundings(environ=environ, wall_ns=clocks.wall_ns, chance=chance)
        self._walk = CompiledWalk(board.kernels.walk_records)
        self._books = BookKeeping(
            self.directory,
            launch=launch,
            board=board,
            cells=cells,
            wall_ns=clocks.wall_ns,
            walk=self._walk,
        )
        # One thread: whoever stops waiting for it does not let two of its calls meet.
        self._books_thread = ThreadPoolExecutor(1, thread_name_prefix="books")
        self.dead_letters = DeadLetterStore(
            Path(settings.state_dir) / DEAD_LETTERS_FILE,
            _bounds(settings),
            wall_ns=clocks.wall_ns,
            ids=ids,
        )
        self.failed_predictions = FailedPredictions(
            self.dead_letters,
            Reader(self.directory, quarantine=Quarantine(self.directory), walk=self._walk),
            cursor_of_dead_letters(self.directory),
            monotonic_s=self._monotonic_s,
            chance=chance,
        )
        self.retention = Retention(
            self.directory,
            settings.journal,
            workers=settings.workers,
            wall_ns=clocks.wall_ns,
        )
        self.replayer = Replayer(
            self.dead_letters,
            World(
                models=lambda: self._settings.models,
                sink_names=lambda: frozenset(one.name for one in self._settings.sinks),
                redeliver=self._redeliver,
                tls=tls_context,
                redactors=self._redactor,
                wall_ns=clocks.wall_ns,
            ),
            monotonic_s=self._monotonic_s,
            chance=chance,
        )
        self._running: dict[str, _Running] = {}
        self._change = asyncio.Event()

    # -- what is shown ---------------------------------------------------------------------------

    @property
    def balance(self) -> Balance:
        """The books as they were made last."""
        return self._books.balance

    async def balance_now(self) -> Balance:
        """The books of this moment. Raises OSError, SidecarError: the journal cannot be read."""
        return await self._on_books_thread(self._books.advance)

    def deliveries(self) -> list[DeliveryFigures]:
        """How each sink stands, in the order of the configuration."""
        return [
            self._running[one.name].pump.figures
            for one in self._settings.sinks
            if one.name in self._running
        ]

    # -- what happens ----------------------------------------------------------------------------

    async def open(self) -> None:
        """Go on where the last controller stopped. Before it nothing else may be called."""
        await self.dead_letters.open()
        await self.failed_predictions.open()
        await self._on_books_thread(self._books.load)

    async def run(self) -> None:
        """Record until cancelled; then everything is brought to an end, and written down."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_books(), name="books")
                tasks.create_task(self._retain(), name="retention")
                tasks.create_task(self.dead_letters.run(), name="dead letters")
                tasks.create_task(self.failed_predictions.run(), name="failed predictions")
                tasks.create_task(self.replayer.run(), name="replays")
                while True:
                    await self._serve(tasks)
                    await self._change.wait()
                    self._change.clear()
        finally:
            await self._close()

    def reconfigure(self, settings: Settings) -> None:
        """Go on by another configuration: sinks, bounds; what workers do is settled at start."""
        self._settings = settings
        self.dead_letters.limit(_bounds(settings))
        self._change.set()

    async def _serve(self, tasks: asyncio.TaskGroup) -> None:
        """End the pumps of sinks that changed or went, and begin those that are new."""
        wanted = {one.name: one for one in self._settings.sinks}
        for name, running in list(self._running.items()):
            if wanted.get(name) != running.settings:
                running.task.cancel()
                await asyncio.wait([running.task])
                del self._running[name]
        for name, settings in wanted.items():
            if name in self._running:
                continue
            try:
                pump = self._pump(settings)
            except SidecarError as error:  # a library that is not installed
                log.error(  # noqa: TRY400 - foreseen; the reason says it all
                    "a sink cannot be served", extra={"sink": name, "reason": str(error)}
                )
                continue
            task = tasks.create_task(pump.run(), name=f"pump {name}")
            self._running[name] = _Running(settings, pump, task)

    def _pump(self, settings: SinkSettings) -> Pump:
        return Pump(
            settings.name,
            sink_for(settings, self._surroundings),
            JournalSource(
                self.directory, cursor_of(self.directory, settings.name), walk=self._walk
            ),
            self.dead_letters,
            PumpPolicy.of(settings),
            wall_ns=self._clocks.wall_ns,
            monotonic_ns=self._clocks.monotonic_ns,
            chance=self._chance,
        )

    async def _redeliver(self, sink: str, batch: Sequence[Item]) -> CallOutcome:
        """Bring dead letters to a sink again."""
        running = self._running.get(sink)
        if running is None:
            return Unavailable("it is not served; see the log")
        return await running.pump.redeliver(batch)

    def _redactor(self, route: str) -> Redactor:
        """What hides the secrets of a route; of one that is gone, those of any route."""
        for one in self._settings.routes:
            if one.name == route:
                return redactor_of(self._settings.redact, self._key, one)
        return Redactor(self._settings.redact.rules, self._key)

    def _monotonic_s(self) -> float:
        return self._clocks.monotonic_ns() / 1e9

    async def _keep_books(self) -> None:
        """Make the balance again and again, and write some of them down."""
        made = 0
        troubled = False
        while True:
            try:
                await self.balance_now()
                troubled = False
            except (OSError, SidecarError) as error:
                if not troubled:
                    log.error(  # noqa: TRY400 - foreseen; the reason says it all
                        "the journal cannot be read", extra={"reason": str(error)}
                    )
                troubled = True
            made += 1
            if not made % SAVE_EVERY:
                await self._on_books_thread(self._books.save)
            await asyncio.sleep(BOOKS_S)

    async def _retain(self) -> None:
        """Remove what may go, again and again."""
        while True:
            await self._on_books_thread(self._books.save)
            pumps = [one.pump for one in self._running.values()]
            await self.retention.tend(
                pumps, [self._books.position, self.failed_predictions.standing.position]
            )
            await asyncio.sleep(RETENTION_S)

    async def _on_books_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._books_thread, call)

    async def _close(self) -> None:
        """Everybody has ended: the last balance, and what has to be kept."""
        try:
            await self.balance_now()
        except (OSError, SidecarError) as error:
            log.warning("the last balance could not be made", extra={"reason": str(error)})
        await self._on_books_thread(self._books.save)
        await self._on_books_thread(self._books.close)
        self._books_thread.shutdown(wait=False)
        await self.failed_predictions.close()
        await self.dead_letters.close()


def _bounds(settings: Settings) -> Bounds:
    kept = settings.dead_letters
    return Bounds(max_bytes=int(kept.max), max_age_s=float(kept.max_age))
