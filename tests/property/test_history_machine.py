"""Whatever happens to boards, controllers, clocks and disks, windows are what was counted in them.

A real observer with a real board, real files and workers that are reduced to their pens, beside a
plain model: what each series had counted when each snapshot was taken.
"""

import asyncio
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sidecar.board import Board, BoardLayout, warm
from sidecar.config.monitoring import DriftSettings, MonitorSettings, Segment
from sidecar.config.settings import Canary, ModelSettings, RouteSettings
from sidecar.config.units import Duration, Size
from sidecar.control.observation import Clocks, Observer, Places, Wanted
from sidecar.control.observation.store import SUFFIX
from sidecar.payload import Source
from sidecar.sketch import AreaLayout, BlockCounter

WORKERS = 2
KERNELS = warm(os.environ)
SECOND_NS = 1_000_000_000
# Room for two watches of three blocks, not for three: some configurations leave somebody out.
ARENA_WORDS = 20_000
AMPLE = 10**9

workers = st.integers(0, WORKERS - 1)
REGIONS = Segment(name="region", source=Source(header="x-region"), values=("north", "south"))


def wanted(canaries: int, segmented: bool, budget: int) -> Wanted:
    names = ["stable", *(f"canary-{n}" for n in range(canaries))]
    return Wanted(
        routes=(
            RouteSettings(
                name="iris",
                primary="stable",
                canaries=tuple(Canary(model=name) for name in names[1:]),
                segments=(REGIONS,) if segmented else (),
            ),
        ),
        models={name: ModelSettings(url="http://m:1") for name in names},
        monitor=MonitorSettings(),
        drift=DriftSettings(
            interval=Duration(10), windows=(Duration(60), Duration(600)), history=Size(budget)
        ),
    )


class Pens:
    """The control socket and the workers behind it: they open what a plan tells them to."""

    def __init__(self, board):
        self.board = board
        self.present = [True] * WORKERS
        self.plan = None
        self.areas = [{} for _ in range(WORKERS)]

    def observe(self, plan):
        self.plan = plan
        for worker in range(WORKERS):
            if self.present[worker]:
                self.open(worker)

    def open(self, worker):
        recorder = self.board.recorder(worker)
        self.areas[worker] = {
            watch.owner: recorder.open_area(watch.slot, watch.at, words_of(watch), watch.owner)
            for watch in self.plan.watches
        }


def words_of(watch):
    return AreaLayout(watch.columns, watch.measures, watch.block_count).words


class HistoryMachine(RuleBasedStateMachine):
    """`totals[stamp][owner]` is what the model says a snapshot holds: requests of each block."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        self.totals = {}
        self.counted = {}
        self.wall_ns = 1_700_000_000 * SECOND_NS
        self.monotonic_ns = 0
        self.disk_refuses = False
        self.memory_unwritten = False
        self.nothing_was_lost = True
        self.boards = 0

    def teardown(self):
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        self.folder.cleanup()

    @initialize(canaries=st.integers(0, 2), segmented=st.booleans())
    def start(self, canaries, segmented):
        self.wants = wanted(canaries, segmented, AMPLE)
        self._new_board()
        self._new_controller()

    # -- what happens --------------------------------------------------------------------------

    @rule(worker=workers, place=st.integers(0, 20), n=st.integers(1, 10**6))
    def count(self, worker, place, n):
        areas = self.pens.areas[worker]
        watches = [one for one in self.observer.watched() if one.watch.owner in areas]
        if not watches:
            return
        one = watches[place % len(watches)]
        block = place % one.layout.block_count
        area = areas[one.watch.owner]
        at = one.layout.block_at(block)
        area[at + BlockCounter.REQUESTS] += n
        area[at + one.layout.counts.start] += n
        counted = np.zeros(one.layout.block_count, np.int64)
        counted[block] = n
        self.counted[one.owner] = self.counted.get(one.owner, 0) + counted

    @rule(elapsed_s=st.sampled_from([1, 10, 61, 3600]))
    def time_passes(self, elapsed_s):
        self.wall_ns += elapsed_s * SECOND_NS
        self.monotonic_ns += elapsed_s * SECOND_NS

    @rule(jump_s=st.sampled_from([-86_400, -3600, -5, 5, 3600, 86_400]))
    def the_clock_is_set(self, jump_s):
        self.wall_ns += jump_s * SECOND_NS

    @rule(times=st.integers(1, 8))
    def snapshots(self, times):
        for _ in range(times):
            self.time_passes(10)
            self._run(self.observer.take())
            self._taken()

    @rule(name=st.sampled_from(["a", "b"]))
    def name_a_snapshot(self, name):
        self._run(self.observer.snapshot(name))
        self._taken()

    @rule(
        canaries=st.integers(0, 2), segmented=st.booleans(), budget=st.sampled_from([3000, AMPLE])
    )
    def reload(self, canaries, segmented, budget):
        self.wants = wanted(canaries, segmented, budget)
        self.nothing_was_lost &= budget == AMPLE
        self.observer.want(self.wants)
        self._plan()

    @rule(worker=workers)
    def a_worker_is_away(self, worker):
        self.pens.present[worker] = False
        self.pens.areas[worker] = {}

    @rule(worker=workers)
    def a_worker_is_back(self, worker):
        self.pens.present[worker] = True
        self.pens.open(worker)

    @rule()
    def the_controller_is_killed(self):
        may_lose = self._forget_unwritten()
        self._new_controller(may_lose=may_lose)

    @rule(in_order=st.booleans())
    def the_sidecar_is_started_again(self, in_order):
        if in_order:
            self._run(self.observer.close())
            self._taken()
        self._forget_unwritten()
        self.counted = self._kept()
        self._new_board()
        self._new_controller()

    @rule(refuses=st.booleans())
    def the_disk_is_full_or_not(self, refuses):
        self.disk_refuses = refuses
        self.nothing_was_lost &= not refuses

    @precondition(lambda self: len(self.totals) > 2)
    @rule(place=st.integers(0, 100), cut=st.booleans())
    def a_file_is_damaged(self, place, cut):
        files = sorted(Path(self.folder.name, "snapshots").glob(f"*{SUFFIX}"))[:-1]
        if not files:
            return
        self.nothing_was_lost = False
        file = files[place % len(files)]
        content = bytearray(file.read_bytes())
        if cut:
            del content[len(content) // 2 :]
        else:
            content[-1] ^= 0xFF
        file.write_bytes(content)

    # -- what must hold ------------------------------------------------------------------------

    @invariant()
    def windows_are_what_was_counted(self):
        if not self.totals:
            return
        history = self.observer.history
        for one in self.observer.watched():
            for back_s in (0, 60, 3600):
                end_ns = history.newest_ns - back_s * SECOND_NS
                for length_s in (60, 600):
                    self._check(one, history.window(one.owner, end_ns, length_s))
            if {"a", "b"} <= set(history.pins):
                first, last = sorted("ab", key=lambda name: history.pins[name].taken_ns)
                if history.pins[first].taken_ns < history.pins[last].taken_ns:
                    self._check(one, history.between(one.owner, first, last))

    @invariant()
    def the_present_is_what_was_counted(self):
        for one in self.observer.watched() if self.totals else ():
            expected = self.counted.get(one.owner, 0)
            assert (requests(self.observer.live(one.owner)) == expected).all()

    @invariant()
    def stamps_rise(self):
        stamps = [one.taken_ns for one in self.observer.history.shelf] if self.totals else []
        assert stamps == sorted(set(stamps))

    def _check(self, one, window):
        if window is None:
            return
        assert window.start_ns < window.end_ns
        start, end = self.totals[window.start_ns], self.totals[window.end_ns]
        expected = end[one.owner] - start[one.owner]
        assert np.min(expected) >= 0
        assert (requests(window.area) == expected).all()
        assert (window.parts >= 0).all()
        assert (window.parts[:, :, 0].sum(axis=0) == expected).all()

    # -- the world -----------------------------------------------------------------------------

    def _new_board(self):
        self.boards += 1
        layout = BoardLayout(
            workers=WORKERS, cells=1, model_rows=1, arena_words=ARENA_WORDS, watch_slots=8
        )
        self.board = Board.allocate(layout, KERNELS)
        self.pens = Pens(self.board)

    def _new_controller(self, *, may_lose=False):
        kept = self._kept()
        folder = Path(self.folder.name)
        salts = iter(os.urandom(8).hex() for _ in range(10**6))
        self.observer = Observer(
            self.wants,
            board=self.board,
            board_id=f"board-{self.boards}",
            workers=self.pens,
            places=Places(
                memory=folder / "observation.msgpack",
                lessons=folder / "provisional",
                snapshots=folder / "snapshots",
            ),
            clocks=Clocks(wall_ns=lambda: self.wall_ns, monotonic_ns=lambda: self.monotonic_ns),
            salts=lambda: next(salts),
            replace=self._replace,
        )
        self._run(self.observer.begin())
        for one in self.observer.watched():
            if may_lose:
                self._came_back(one, at_least=kept.get(one.owner, 0))
        self._taken()

    def _replace(self, path, content):
        if self.disk_refuses:
            self.memory_unwritten |= path.name == "observation.msgpack"
            raise OSError(28, "No space left on device")
        self.memory_unwritten &= path.name != "observation.msgpack"
        path.write_bytes(content)  # whole: that half of it may be there is others' test

    def _plan(self):
        before = {one.owner for one in self.observer.watched()}
        newest_ns = self.observer.history.newest_ns
        self._run(self.observer.plan())
        for one in self.observer.watched():
            if one.owner not in before:
                self._came_back(one)
        for shelved in self.observer.history.shelf:
            # Not those without a total: a stamp may have been that of one which is lost.
            if shelved.taken_ns > newest_ns:
                self._note(shelved, self.counted)

    def _taken(self):
        self._note(self.observer.history.shelf[-1], self.counted)

    def _note(self, shelved, counted):
        self.totals[shelved.taken_ns] = {owner: counted.get(owner, 0) for owner in shelved.series}

    def _forget_unwritten(self):
        """What is in memory alone is gone with its process; whether something was."""
        in_memory = [one for one in self.observer.history.shelf if one.content is not None]
        for one in in_memory:
            self.totals.pop(one.taken_ns, None)
        forgotten = bool(in_memory) or self.memory_unwritten
        self.memory_unwritten = False
        return forgotten

    def _kept(self):
        """The newest total of each series that is on disk.

        Not of those that were: one that was thinned out while the disk refused never got there.
        """
        kept = {}
        for one in self.observer.history.shelf if self.totals else ():
            if one.content is None:
                kept.update(self.totals.get(one.taken_ns, {}))
        return kept

    def _came_back(self, one, at_least=0):
        """A series whose past may have been thinned out or lost: it goes on from what was left."""
        live = requests(self.observer.live(one.owner))
        assert (at_least <= live).all()
        assert (live <= self.counted.get(one.owner, 0)).all()
        if self.nothing_was_lost:
            assert (live == self.counted.get(one.owner, 0)).all()
        self.counted[one.owner] = live

    def _run(self, call):
        self.loop.run_until_complete(call)


def requests(area):
    return np.array(
        [
            area.block(block).counter(BlockCounter.REQUESTS)
            for block in range(area.layout.block_count)
        ]
    )


HistoryMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=30)
TestHistory = HistoryMachine.TestCase

pytestmark = pytest.mark.timeout(180)  # many examples, on machines that do more
