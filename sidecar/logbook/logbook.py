"""A worker's logbook: every exchange that is over is entered, and written down while nothing waits.

    enter ─► awaited ──(the monitor has read it)────────────► composed ─► the journal's queue
       │        │                                               ▲ │
       │     left unread                                        │ └─ sampled out, dropped: counted
       │        ▼                                               │
       └───► waiting ──(10 ms later, in slices of 0.5 ms)───────┘

The request path pays for one entry. What the monitor reads is written in the moment it was read,
while all that belongs to it is still in the caches of the processor; what it leaves, or takes
longer than AWAITED_NS for, is written without findings. Nothing that was entered is left out
silently: it is in the journal, or counted on the board as `RECORDS_SAMPLED_OUT` or `DROPPED_...`,
in the cell that counted the exchange itself. Exchanges are put on the board *before* their records
go to the journal: see `sidecar.board.accounts`.

Must not know: HTTP, files. Single-threaded: everything here belongs to the worker's event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Final, Protocol
from zlib import crc32

from sidecar.board import CellCounter, Recorder
from sidecar.config.update import RoutingUpdate
from sidecar.journal import FAILURE
from sidecar.logbook.composing import FAILED, Composer
from sidecar.logbook.findings import NOTHING_FOUND, notes
from sidecar.logbook.subjects import Subject, Subjects
from sidecar.model import CellKey, DropReason
from sidecar.monitor import Complaints, Ended, Findings, Found
from sidecar.monitor.exchanges import SHORT_BYTES

DELAY_S: Final = 0.01  # from the first exchange that waits until writing begins
SLICE_NS: Final = 500_000  # of writing at a stretch: what a request may have to wait for
AWAITED_NS: Final = 1_000_000_000  # the longest that an exchange waits for being read
EXCHANGE_BYTES: Final = 2048  # what an exchange takes beside its bodies
MOST_WAITING_BYTES: Final = 16 * 1024 * 1024
"""Of exchanges that are held until they are written; beyond it all are, whatever they wait for."""

_PORTION: Final = 32  # exchanges between two looks at the clock
_SAMPLED_OUT: Final = int(CellCounter.RECORDS_SAMPLED_OUT)
_FAULT: Final = int(CellCounter.of_drop(DropReason.FAULT))
_WHOLE: Final = 1 / 2**32

Item = tuple[int, bytes]
"""A record: its cell, perhaps with FAILURE, and its bytes."""


class Journal(Protocol):
    """What takes records; `sidecar.journal.Writer` does."""

    def extend(self, items: Sequence[Item]) -> None:
        """Take records; those that are refused are counted in `failures`."""
        ...

    def subjects(self, table: Mapping[int, CellKey]) -> None:
        """Say what the subjects of the records from now on mean."""
        ...

    @property
    def failures(self) -> Mapping[tuple[DropReason, int], int]:
        """How many were not written, by reason and subject, since the start."""
        ...


class Logbook:
    """See the module's text. `wall_ns` is the wall clock, `clock_ns` the one that only rises;
    `soon` and `later` (seconds first) schedule on the loop. `salt` decides which exchanges are
    sampled, so that nobody outside can choose: a request and its copies share their fate.
    """

    def __init__(
        self,
        recorder: Recorder,
        journal: Journal,
        composer: Composer,
        *,
        subjects: Subjects,
        salt: int,
        clock_ns: Callable[[], int],
        wall_ns: Callable[[], int],
        soon: Callable[[Callable[[], None]], object],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._recorder = recorder
        self._journal = journal
        self._composer = composer
        self._subjects = subjects
        self._salt = salt
        self._clock_ns = clock_ns
        self._wall_ns = wall_ns
        self._soon = soon
        self._later = later
        self._by_cell: list[Subject | None] = []
        self._waiting: deque[Ended] = deque()
        self._awaited: dict[int, Ended] = {}  # by identity, in the order of entering
        self._held_bytes = 0
        self._scheduled = False
        self._failed: dict[tuple[DropReason, int], int] = {}
        self._complaints = Complaints(
            "an exchange could not be recorded, by a fault of ours; more are only counted"
        )

    # -- whose records ---------------------------------------------------------------------------

    def install(self, update: RoutingUpdate) -> None:
        """The board's cells belong to these from now on.

        What was entered before is written first, for those whose they were; so this is called
        before a cell is cleared for somebody else.
        """
        self.catch_up()
        self._by_cell = self._subjects.of(update, self._by_cell)
        self._journal.subjects(
            {cell: one.key for cell, one in enumerate(self._by_cell) if one is not None}
        )

    def keeps_bodies(self, cell: int) -> bool:
        """Whether bodies that come in pieces have to be held, as they may be recorded."""
        subject = self._by_cell[cell] if 0 <= cell < len(self._by_cell) else None
        return subject is not None and not subject.policy.keeps_nothing

    # -- on the request path ---------------------------------------------------------------------

    def enter(self, ended: Ended) -> None:
        """Have an exchange written down, once the recorder has counted it. Never waits."""
        self._held_bytes = held = self._held_bytes + _held_bytes(ended)
        if ended.awaited:
            self._awaited[id(ended)] = ended
        else:
            self._wait(ended)
        if held > MOST_WAITING_BYTES:
            self.catch_up()

    def _wait(self, ended: Ended) -> None:
        self._waiting.append(ended)
        if not self._scheduled:
            self._scheduled = True
            self._later(DELAY_S, self._round)

    # -- what the monitor says -------------------------------------------------------------------

    def found(self, findings: Findings) -> None:
        """The monitor has read these: they are written at once."""
        self._write(findings.exchanges, notes(findings), self._awaited)

    def left(self, ended: Ended) -> None:
        """The monitor will not read this one, if it ever was to."""
        if self._awaited.pop(id(ended), None) is not None:
            self._wait(ended)

    # -- between requests ------------------------------------------------------------------------

    def _round(self) -> None:
        """Write for a while; then the loop gets its turn."""
        self._scheduled = False
        if self._write_for(SLICE_NS):
            self._scheduled = True
            self._soon(self._round)

    def _write_for(self, slice_ns: int) -> bool:
        """Write what waits; True when the time was over before that was all."""
        waiting, take = self._waiting, self._waiting.popleft
        end_ns = self._clock_ns() + slice_ns
        while waiting:
            portion = [take() for _ in range(min(len(waiting), _PORTION))]
            self._write(portion, repeat(NOTHING_FOUND), None)
            if waiting and self._clock_ns() >= end_ns:
                return True
        return False

    def _write(
        self,
        exchanges: Sequence[Ended],
        found: Iterable[Found],
        owed: dict[int, Ended] | None,
    ) -> None:
        """Write down what is `owed`, of exchanges and of what was found in each."""
        self._recorder.flush()  # what follows is in the journal only after it is on the board
        wall_ns = self._wall_ns()
        offset_ns = wall_ns - self._clock_ns()
        names = self._composer.names(len(exchanges), wall_ns)
        records: list[Item] = []
        try:
            for ended, what, name in zip(exchanges, found, names, strict=False):
                if owed is not None and owed.pop(id(ended), None) is None:
                    continue  # it was written before it was read
                self._held_bytes -= _held_bytes(ended)
                record = self._record(ended, what, name, offset_ns)
                if record is not None:
                    records.append(record)
                if len(ended.request.wire) > SHORT_BYTES:
                    _let_go(ended, is_read=what is not NOTHING_FOUND)
        finally:
            self._journal.extend(records)  # who refuses counts: see `tick`

    def _record(self, ended: Ended, found: Found, name: str, offset_ns: int) -> Item | None:
        """The record of an exchange; None: it gets none, and that is counted."""
        cell = ended.cell
        subject = self._by_cell[cell] if 0 <= cell < len(self._by_cell) else None
        if subject is None:
            return None  # on no cell of the board: neither counted nor recorded
        why = None
        unusual = found[-1]
        # What a shadow failed is in the record of the request that it was a copy of.
        failed = ended.counter in FAILED and ended.shadow_of is None
        try:
            if failed or subject.by_chance or not (unusual is None or subject.is_usual(unusual)):
                draw = crc32(ended.request.id, self._salt) * _WHOLE
                why = subject.policy.why(subject.model, failed=failed, unusual=unusual, draw=draw)
                if why is None and draw >= subject.share and not failed:
                    self._recorder.count(cell, _SAMPLED_OUT)
                    return None
            payload = self._composer.compose(ended, found, subject, name, offset_ns, why)
        except Exception as error:  # noqa: BLE001 -- a bug of ours must not end the recording
            self._recorder.count(cell, _FAULT)
            self._complaints.about(error)
            return None
        return (cell | FAILURE if failed else cell), payload

    # -- what is overdue, and what the journal did not take --------------------------------------

    def tick(self) -> None:
        """Look after what is overdue; called some times a second.

        What the monitor has not come back to is written without findings, and what the journal
        refused is counted on the board.
        """
        due_ns = self._clock_ns() - AWAITED_NS
        while self._awaited:
            oldest = next(iter(self._awaited.values()))
            if oldest.started_ns + oldest.total_ns > due_ns:
                break
            self.left(oldest)
        failures = self._journal.failures
        for key, count in failures.items():
            reason, cell = key
            more = count - self._failed.get(key, 0)
            if more:
                self._recorder.count(cell, CellCounter.of_drop(reason), more)
                self._failed[key] = count

    def catch_up(self) -> None:
        """Write all that waits, whatever it costs and whether it was read or not."""
        self._waiting.extendleft(reversed(self._awaited.values()))
        self._awaited.clear()
        while self._write_for(SLICE_NS):
            pass
        self.tick()


def _held_bytes(ended: Ended) -> int:
    return ended.request.size + ended.answer_bytes + EXCHANGE_BYTES


def _let_go(ended: Ended, *, is_read: bool) -> None:
    """A large request is not held for its copies, which may take their time, once it was read.

    One that was written before is still to be read: unless it says why it was not.
    """
    awaited = ended.awaited and not is_read and ended.unread is None
    if ended.shadow_of is not None or awaited:
        return
    if ended.ticket is None or ended.request.inputs is not None:
        ended.request.shorten()
