"""A worker's logbook: every exchange that is over is entered, and written down while nothing waits.

    enter ─► waiting ──(10 ms later, in slices of 0.5 ms)──► composed ─► the journal's queue
                                                               │
                                                               └─ sampled out, or dropped: counted

The request path pays for one append. What the monitor reads is written once it was read, in the
order of entering; what it sheds, or takes longer than AWAITED_NS for, is written without findings.
Nothing that was entered is left out silently: it is in the journal, or counted on the board as
`RECORDS_SAMPLED_OUT` or `DROPPED_...`, in the cell that counted the exchange itself. Exchanges are
put on the board *before* their records go to the journal: see `sidecar.board.accounts`.

Must not know: HTTP, files. Single-threaded: everything here belongs to the worker's event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, Protocol
from zlib import crc32

from sidecar.board import CellCounter, Recorder
from sidecar.config.update import RoutingUpdate
from sidecar.logbook.composing import FAILED, Composer
from sidecar.logbook.findings import note
from sidecar.logbook.subjects import Subject, Subjects
from sidecar.model import CellKey, DropReason
from sidecar.monitor import Complaints, Ended, Findings
from sidecar.monitor.exchanges import SHORT_BYTES

DELAY_S: Final = 0.01  # from the first exchange that waits until writing begins
SLICE_NS: Final = 500_000  # of writing at a stretch: what a request may have to wait for
AWAITED_NS: Final = 1_000_000_000  # the longest that an exchange waits for being read
MOST_WAITING: Final = 4096
MOST_WAITING_BYTES: Final = 16 * 1024 * 1024
"""Of bodies that are held until they are written; beyond it is written at once, whatever waits."""

_LOOK_EVERY: Final = 16  # records between two looks at the clock
_SAMPLED_OUT: Final = int(CellCounter.RECORDS_SAMPLED_OUT)
_FAULT: Final = int(CellCounter.of_drop(DropReason.FAULT))
_WHOLE: Final = 1 / 2**32


class Journal(Protocol):
    """What takes records; `sidecar.journal.Writer` does."""

    def append(self, subject: int, payload: bytes) -> bool:
        """Take a record; False: refused, and counted in `failures`."""
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
        self._waiting.append(ended)
        self._held_bytes = held = self._held_bytes + ended.request.size + ended.answer_bytes
        if held > MOST_WAITING_BYTES or len(self._waiting) > MOST_WAITING:
            self.catch_up()
        elif not self._scheduled:
            self._scheduled = True
            self._later(DELAY_S, self._round)

    def found(self, findings: Findings) -> None:
        """What the monitor has found in exchanges: their records can be written now."""
        note(findings)

    # -- between requests ------------------------------------------------------------------------

    def _round(self) -> None:
        """Write for a while; then the loop gets its turn."""
        if self._write_for(SLICE_NS):
            self._soon(self._round)
        elif self._waiting:
            self._later(DELAY_S, self._round)
        else:
            self._scheduled = False

    def _write_for(self, slice_ns: int) -> bool:
        """Write what may be written; True when the time was over before that was all."""
        self._recorder.flush()  # what follows is in the journal only after it is on the board
        now_ns = self._clock_ns()
        wall_ns = self._wall_ns()
        self._composer.begin(wall_ns)
        offset_ns = wall_ns - now_ns
        end_ns = now_ns + slice_ns
        waiting, write, take = self._waiting, self._write, self._waiting.popleft
        due_ns = now_ns - AWAITED_NS
        count = held_bytes = 0
        over = False
        while waiting:
            ended = waiting[0]
            if ended.awaited and ended.started_ns + ended.total_ns > due_ns:
                break
            take()
            held_bytes += ended.request.size + ended.answer_bytes
            write(ended, offset_ns)
            if len(ended.request.wire) > SHORT_BYTES:
                _let_go(ended)
            count += 1
            if not count % _LOOK_EVERY and self._clock_ns() >= end_ns:
                over = True
                break
        self._held_bytes -= held_bytes
        return over

    def _write(self, ended: Ended, offset_ns: int) -> None:
        cell = ended.cell
        subject = self._by_cell[cell] if 0 <= cell < len(self._by_cell) else None
        if subject is None:
            return  # on no cell of the board: neither counted nor recorded
        why = None
        unusual = None if ended.found is None else ended.found[-1]
        # What a shadow failed is in the record of the request that it was a copy of.
        failed = ended.counter in FAILED and ended.shadow_of is None
        if failed or subject.by_chance or not (unusual is None or subject.is_usual(unusual)):
            draw = crc32(ended.request.id, self._salt) * _WHOLE
            why = subject.policy.why(subject.model, failed=failed, unusual=unusual, draw=draw)
            if why is None and draw >= subject.share and not failed:
                self._recorder.count(cell, _SAMPLED_OUT)
                return
        try:
            payload = self._composer.compose(ended, subject, offset_ns, why)
        except Exception as error:  # noqa: BLE001 -- a bug of ours must not end the recording
            self._recorder.count(cell, _FAULT)
            self._complaints.about(error)
            return
        self._journal.append(cell, payload)  # who refuses counts: see `tick`

    # -- what the journal did not take -----------------------------------------------------------

    def tick(self) -> None:
        """Count on the board what the journal refused; called some times a second."""
        failures = self._journal.failures
        for key, count in failures.items():
            reason, cell = key
            more = count - self._failed.get(key, 0)
            if more:
                self._recorder.count(cell, CellCounter.of_drop(reason), more)
                self._failed[key] = count

    def catch_up(self) -> None:
        """Write all that waits, whatever it costs and whether it was read or not."""
        for ended in self._waiting:
            ended.awaited = False
        while self._write_for(SLICE_NS):
            pass
        self.tick()


def _let_go(ended: Ended) -> None:
    """A large request is not held for its copies, which may take their time, once it was read."""
    request = ended.request
    read = request.inputs is not None if ended.ticket is not None else not ended.awaited
    if read and ended.shadow_of is None:
        request.shorten()
