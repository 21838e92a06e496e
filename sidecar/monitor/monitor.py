"""A worker's monitor: takes exchanges that are over, and reads them in between requests.

    offer ─► pending ─(25 ms later)─► chosen ─► read, in slices of 0.2 ms ─► counted on the board
               │                         │
               └─ QUEUE_FULL             └─ SHED: beyond the budget, by chance

The request path pays for one look at a list, and for a watched exchange for keeping references to
what has passed. Whatever goes wrong in here is counted and logged, and never reaches it.

In rounds: what has gathered is taken as a whole. If the budget allows for less than that, a random
sample is read, so that what is counted is what passed. A shadow's answer shares the fate of the
exchange it belongs to. Between two slices the event loop gets its turn; under load a slice is as
long as what is read at once.

Must not know: HTTP, columns. Single-threaded: everything here belongs to the worker's event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from sidecar.board import Recorder
from sidecar.config.monitoring import MonitorSettings
from sidecar.config.observation import ObservationPlan
from sidecar.model import CellKey
from sidecar.monitor.bodies import Dechunk, is_event_stream
from sidecar.monitor.budget import Budget, Draw
from sidecar.monitor.capture import Capture, Loss, Room
from sidecar.monitor.exchanges import Ended, Sink
from sidecar.monitor.installation import Installation, Watchers
from sidecar.monitor.learning import Learned
from sidecar.monitor.reading import Reading
from sidecar.monitor.watcher import Watcher
from sidecar.payload import Reason
from sidecar.sketch import WatchCounter

DELAY_S: Final = 0.025  # from the first exchange that waits until reading begins, unless many do
AT_ONCE: Final = 256  # exchanges: enough of them share what it costs to read many
SLICE_NS: Final = 200_000  # of reading at a stretch: what a request may have to wait for
LOOK_BACK_NS: Final = 5_000_000_000  # between two of a watcher's looks at what it has seen

_SHED: Final = int(WatchCounter.SHED)
_QUEUE_FULL: Final = int(WatchCounter.QUEUE_FULL)
_LOST: Final = {
    Loss.NO_ROOM: _QUEUE_FULL,
    Loss.SHED: _SHED,
    Loss.BROKEN: int(WatchCounter.UNREAD_SHAPE),
}


class Monitor:
    """See the module's text.

    `watchers` holds, by the cells of the board, who watches them; its last is None, so that cell
    -1, which is none, is watched by nobody. `soon` and `later` (seconds first) schedule on the
    loop.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        dechunk: Dechunk,
        clock_ns: Callable[[], int],
        wall_ns: Callable[[], int],
        random: Callable[[], float],
        soon: Callable[[Callable[[], None]], object],
        later: Callable[[float, Callable[[], None]], object],
        learned: Learned | None = None,
        sink: Sink | None = None,
    ) -> None:
        self.watchers: list[Watcher | None] = [None]
        self._installation = Installation(
            recorder, dechunk=dechunk, wall_ns=wall_ns, learned=learned, sink=sink
        )
        self._clock_ns = clock_ns
        self._random = random
        self._soon = soon
        self._later = later
        self._flush_at_once = sink is not None
        self._plan: ObservationPlan | None = None
        self._installed: Watchers = {}
        self._pending: deque[Ended] = deque()
        self._chosen: deque[Ended] = deque()
        self._steps: Iterator[int] | None = None  # of reading many at once
        self._under_way = 0  # exchanges that are being read in them
        self._left: deque[Ended] = deque()  # of those chosen, to be read one at a time
        self._loaded = False  # so many come that a round is full before its time
        self._read = 0  # exchanges in this round, as far as it is not accounted for
        self._read_ns = 0  # what they took
        self._scheduled = False
        self._woken = False
        self._rounds = 0
        self._sampling = False  # since when, tickets may say that the other side was shed
        self._looked_back_ns = clock_ns()
        settings = MonitorSettings()
        self._most = self._places = settings.pending
        self._max_body = int(settings.max_body)
        self._room_bytes = int(settings.pending_bytes)
        self._scarce = self._room_bytes // 2
        self._room = Room(self._room_bytes)
        self._reading = Reading(self._room, flush_at_once=self._flush_at_once)
        self._budget = Budget(settings.max_cpu_share, clock_ns())

    # -- what is watched -------------------------------------------------------------------------

    def install(self, plan: ObservationPlan, cells: Sequence[CellKey | None]) -> None:
        """Watch by `plan` from the next exchange on. Raises ConfigError and changes nothing.

        `cells[i]` is whose numbers cell `i` of the board holds. What waits to be read by a watch
        that changes is shed.
        """
        if not plan.settings.enabled:
            plan = ObservationPlan(version=plan.version, settings=plan.settings)
        prepared = self._installation.prepare(plan, self._plan, self._installed)
        self._retire([one for key, one in self._installed.items() if key not in prepared.kept])
        self._installed = self._installation.open(prepared)
        settings = plan.settings
        if self._plan is None or self._plan.settings != settings:
            self._budget = Budget(settings.max_cpu_share, self._clock_ns())
        self._most = settings.pending
        self._places = self._most - self._waiting
        self._max_body = int(settings.max_body)
        room_bytes = int(settings.pending_bytes)
        self._room.left += room_bytes - self._room_bytes
        self._room_bytes = room_bytes
        self._scarce = room_bytes // 2
        self._plan = plan
        self.remap(cells)

    def remap(self, cells: Sequence[CellKey | None]) -> None:
        """The board's cells belong to others now."""
        watchers = [None if key is None else self._installed.get(key) for key in cells]
        # An exchange may end in a cell of an update that is no longer: never fewer than there were.
        missing = max(len(self.watchers) - len(watchers), 1)
        self.watchers = [*watchers, *[None] * missing]

    def watch(self, cell: int) -> Watcher | None:
        """Who watches a cell."""
        return self.watchers[cell]

    def _retire(self, watchers: list[Watcher]) -> None:
        """These watch no more: whatever they have read or still wait for is counted now."""
        self._finish_steps()
        for waiting in (self._left, self._chosen, self._pending):
            kept = [ended for ended in waiting if ended.watcher not in watchers]
            for ended in waiting:
                if ended.watcher in watchers:
                    self._reading.leave(ended, _SHED)
            waiting.clear()
            waiting.extend(kept)
        for watcher in watchers:
            self._reading.flush(watcher)
            watcher.retire()

    # -- on the request path ---------------------------------------------------------------------

    def offer(self, ended: Ended) -> bool:
        """Have a watched exchange read later; False when it will not be. Never waits."""
        capture = ended.capture
        if capture is not None and capture.loss is not None:
            self._reading.leave(ended, _LOST[capture.loss])
            return False
        room, pending = self._room, self._pending
        size = len(ended.request.wire) + len(ended.answer)
        left = room.left - size
        waiting = len(pending)
        if left < 0 or waiting >= self._places:
            self._reading.leave(ended, _QUEUE_FULL)
            return False
        ended.held_bytes = size
        room.left = left
        pending.append(ended)
        if not self._scheduled:
            self._scheduled = True
            self._await_more()
        elif (waiting >= AT_ONCE or left < self._scarce) and not self._woken:
            self._woken = True
            self._soon(self._round)
        return True

    def capture(self) -> Capture:
        """A place for bodies that come in pieces."""
        return Capture(self._room, self._max_body, clock_ns=self._clock_ns, spend=self._spend)

    def _spend(self, elapsed_ns: int) -> None:
        self._budget.spend(elapsed_ns)

    def begin_answer(
        self, capture: Capture, watcher: Watcher, head: bytes, started_ns: int
    ) -> None:
        """An answer begins to come in pieces: they will be kept, or read as a stream of events.

        `head` are its start line and fields, `started_ns` is when the request began.
        """
        if not is_event_stream(head):
            return
        if not self._budget.affordable(self._clock_ns()):
            capture.answer.lose(Loss.SHED)
            return
        capture.reader = watcher.bodies.stream(head, started_ns)
        if capture.reader is None:
            capture.answer.lose(Reason.UNKNOWN)

    # -- between requests ------------------------------------------------------------------------

    def _await_more(self) -> None:
        """Begin a round in a while, unless one began in between since enough was waiting."""
        self._later(DELAY_S, partial(self._late, self._rounds))

    def _late(self, rounds: int) -> None:
        if rounds == self._rounds:
            self._round()

    def _round(self) -> None:
        """Take what has gathered, or a sample of it."""
        self._woken = False
        self._rounds += 1
        pending = self._pending
        if self._chosen or self._left or self._steps is not None:
            return  # a round is under way; what has gathered comes next
        if not pending:
            self._scheduled = False
            return
        self._loaded = len(pending) >= AT_ONCE
        affordable = self._budget.affordable(self._clock_ns())
        if affordable >= len(pending):
            self._pending, self._chosen = self._chosen, pending
        else:
            self._sample(affordable)
        self._places = self._most - self._waiting
        self._soon(self._slice)

    def _sample(self, wanted: int) -> None:
        self._sampling = True
        pending = self._pending
        draw = Draw(wanted, len(pending), self._random)
        while pending:
            ended = pending.popleft()
            ticket = ended.ticket
            chosen = None if ticket is None else ticket.chosen
            if chosen is None:
                chosen = draw.next()
                if ticket is not None:
                    ticket.chosen = chosen
            if chosen:
                self._chosen.append(ended)
            else:
                self._reading.leave(ended, _SHED)

    def _slice(self) -> None:
        """Read for a while; then the loop gets its turn.

        Under load what is read at once is read to its end: requests in between would take the
        caches away, which makes it dearer by a fifth or more.
        """
        clock_ns, step = self._clock_ns, self._step
        began = now = clock_ns()
        end = began + SLICE_NS
        while (now < end or (self._loaded and self._steps is not None)) and step():
            now = clock_ns()
        under_way = self._steps is not None
        if self._flush_at_once and not under_way:
            self.flush()
        self._budget.spend(now - began)
        self._read_ns += now - began
        if self._read and not under_way:
            self._budget.learn(self._read_ns, self._read)
            self._read = self._read_ns = 0
        self._places = self._most - self._waiting
        if under_way or self._chosen or self._left:
            self._soon(self._slice)
        elif len(self._pending) >= AT_ONCE:
            self._soon(self._round)
        elif self._pending:
            self._await_more()
        else:
            self._scheduled = False

    def _step(self) -> bool:
        """Read a little of what was chosen; False: all of it was read."""
        if self._steps is not None:
            read = next(self._steps, None)
            if read is None:
                self._steps = None
                self._under_way = 0
            else:
                self._read += read
        elif self._left:
            self._reading.read(self._left.popleft())
            self._read += 1
        elif self._chosen:
            exchanges = self._portion(self._chosen)
            self._under_way = len(exchanges)
            self._steps = self._reading.read_many(exchanges, self._left)
        else:
            return False
        return True

    def _portion(self, chosen: deque[Ended]) -> list[Ended]:
        """What is read at once."""
        if len(chosen) <= AT_ONCE:
            exchanges = list(chosen)
            chosen.clear()
        else:
            exchanges = [chosen.popleft() for _ in range(AT_ONCE)]
        return self._reading.with_their_others(exchanges) if self._sampling else exchanges

    def _finish_steps(self) -> None:
        """Read to the end what is being read at once."""
        if self._steps is not None:
            began = self._clock_ns()
            self._read += sum(self._steps)
            self._steps = None
            self._under_way = 0
            elapsed = self._clock_ns() - began
            self._read_ns += elapsed
            self._budget.spend(elapsed)

    @property
    def _waiting(self) -> int:
        """Exchanges that were chosen, and are not read yet."""
        return len(self._chosen) + len(self._left) + self._under_way

    # -- onto the board --------------------------------------------------------------------------

    def flush(self) -> None:
        """Count on the board what was read; called some times a second."""
        now = self._clock_ns()
        look_back = now - self._looked_back_ns >= LOOK_BACK_NS
        if look_back:
            self._looked_back_ns = now
        for watcher in self._installed.values():
            self._reading.flush(watcher, look_back=look_back)

    def catch_up(self) -> None:
        """Read all that waits, whatever it costs, and count it."""
        self._finish_steps()
        waiting = deque([*self._left, *self._chosen, *self._pending])
        self._left.clear()
        self._chosen.clear()
        self._pending.clear()
        while waiting:
            for _ in self._reading.read_many(self._portion(waiting), self._left):
                pass
            while self._left:
                self._reading.read(self._left.popleft())
        self.flush()

    def drain(self) -> None:
        """The worker ends: leave nothing unread or unsaid."""
        self.catch_up()
        for watcher in self._installed.values():
            self._reading.flush(watcher, look_back=True)
