"""A worker's pen: the only writer of its slice of the board.

Measured exchanges are packed into a buffer and counted by one call of the kernel per 256 of them,
or when the worker flushes, as it does a few times a second; rarer numbers go straight to memory.
A worker that is killed loses what it had not flushed, at most 256 exchanges. What was flushed
stays, and the worker that takes its place goes on counting from there.

No locks: one writer per slice, one thread per writer. Cell -1 means "not on the board": ignored.

Must not know: routes, models, HTTP.
"""

from __future__ import annotations

from struct import Struct

import numpy as np

from sidecar.board.jit import Kernels
from sidecar.board.layout import (
    BoardLayout,
    CellCounter,
    ModelGauge,
    SliceView,
    WatchField,
    WorkerGauge,
    fingerprint,
)
from sidecar.sketch import ROW_WIDTH, IntArray

PENDING_ROWS = 256
"""Rows counted by one call of the kernel: a call costs about 1 us, and so 4 ns a row."""

_ROW = Struct(f"={ROW_WIDTH}q")
_pack_row = _ROW.pack_into
_ROW_BYTES = _ROW.size
_FULL_BYTES = PENDING_ROWS * _ROW_BYTES
_CELL_COUNTERS = len(CellCounter)
_MODEL_GAUGES = len(ModelGauge)

# What describes a process, not its history: void when the process is gone.
_PROCESS_GAUGES = (
    WorkerGauge.IN_FLIGHT,
    WorkerGauge.CONNECTIONS,
    WorkerGauge.ROUTING_VERSION,
    WorkerGauge.DRAINING,
    WorkerGauge.SHADOWS_IN_FLIGHT,
)
_MODEL_PROCESS_GAUGES = (
    ModelGauge.BREAKER,
    ModelGauge.CONNECTIONS,
    ModelGauge.IDLE,
    ModelGauge.WAITERS,
)


class Recorder:
    """Writes one worker's numbers into `words`, its slice of the board (a memoryview of int64)."""

    __slots__ = (
        "_at",
        "_counters",
        "_edges",
        "_model_gauges",
        "_pending",
        "_record_rows",
        "_rows",
        "_view",
        "_worker_gauges",
        "kernels",
    )

    def __init__(self, layout: BoardLayout, words: memoryview, kernels: Kernels) -> None:
        # Single numbers go through memoryviews: indexing one costs a third of NumPy's.
        self._worker_gauges = words[layout.worker_gauges_at : layout.model_gauges_at]
        self._model_gauges = words[layout.model_gauges_at : layout.counters_at]
        self._counters = words[layout.counters_at : layout.sums_at]
        self._view = SliceView.of(layout, words)
        self._edges = layout.edges.values
        self._record_rows = kernels.record_rows
        self.kernels = kernels  # for areas: their watches know the columns
        self._pending = bytearray(_FULL_BYTES)
        self._rows = np.frombuffer(self._pending, dtype=np.int64).reshape(PENDING_ROWS, ROW_WIDTH)
        self._at = 0

    def record(
        self,
        cell: int,
        counter: int,
        total_ns: int,
        upstream_ns: int,
        first_byte_ns: int,
        overhead_ns: int,
    ) -> None:
        """Count an exchange that ended as `counter` says, and its durations; -1: not measured.

        On the request path and written for it: one C call and one attribute until 256 are pending.
        """
        at = self._at
        _pack_row(
            self._pending, at, cell, counter, total_ns, upstream_ns, first_byte_ns, overhead_ns
        )
        at += _ROW_BYTES
        self._at = at
        if at == _FULL_BYTES:
            self.flush()

    def flush(self) -> None:
        """Put what is pending onto the board; free when nothing is."""
        at = self._at
        if at:
            self._at = 0
            view = self._view
            self._record_rows(
                self._rows[: at // _ROW_BYTES], view.counters, view.latency, view.sums, self._edges
            )

    def count(self, cell: int, counter: int, n: int = 1) -> None:
        """Add to a counter of a cell, at once."""
        if cell >= 0:
            self._counters[cell * _CELL_COUNTERS + counter] += n

    def add_worker(self, gauge: int, n: int = 1) -> None:
        """Add to a number of this worker (below 0 takes away)."""
        self._worker_gauges[gauge] += n

    def set_worker(self, gauge: int, value: int) -> None:
        """Set a number of this worker."""
        self._worker_gauges[gauge] = value

    def add_model(self, row: int, gauge: int, n: int = 1) -> None:
        """Add to a number of a model (below 0 takes away)."""
        self._model_gauges[row * _MODEL_GAUGES + gauge] += n

    def set_model(self, row: int, gauge: int, value: int) -> None:
        """Set a number of a model."""
        self._model_gauges[row * _MODEL_GAUGES + gauge] = value

    def reset_gauges(self) -> None:
        """Zero what described the process that held the pen before; counts go on.

        Called by a worker when it starts: one that was killed left its requests "in flight".
        """
        self._view.worker_gauges[list(_PROCESS_GAUGES)] = 0
        self._view.model_gauges[:, list(_MODEL_PROCESS_GAUGES)] = 0

    def assign_cell(self, cell: int, owner: str) -> None:
        """Say whose numbers a cell holds from now on; if they were another's, they are zeroed.

        The board remembers the owner, so that a worker that was away while the controller gave the
        cell to somebody else does not add to the old numbers. Raises IndexError (no such cell).
        """
        owners = self._view.cell_owners
        if owners[_checked(cell, len(owners), "cell")] != fingerprint(owner):
            self.reset_cell(cell)
            owners[cell] = fingerprint(owner)

    def assign_model(self, row: int, owner: str) -> None:
        """Say whose numbers a model row holds from now on, as `assign_cell` does for a cell."""
        owners = self._view.model_owners
        if owners[_checked(row, len(owners), "model row")] != fingerprint(owner):
            self._view.model_gauges[row] = 0
            owners[row] = fingerprint(owner)

    def open_area(self, slot: int, at: int, words: int, owner: str) -> IntArray:
        """The area of a watch, `words` of the arena from `at` on, to be written by the caller.

        If `owner` counted in just these words before, it goes on there; otherwise they are zeroed,
        and every other area that any of them belonged to is nobody's from now on. Raises IndexError
        when the board has no such slot or no such words.
        """
        self.check_area(slot, at, words)
        watches = self._view.watches
        area: IntArray = self._view.arena[at : at + words]
        wanted = [fingerprint(owner), at, at + words]
        if watches[slot].tolist() != wanted:
            begins, ends = watches[:, WatchField.BEGIN], watches[:, WatchField.END]
            overlapping = (begins < at + words) & (ends > at)
            overlapping[slot] = True
            watches[overlapping] = 0  # first: nobody reads as its own what is being zeroed
            area[:] = 0
            watches[slot] = wanted
        return area

    def check_area(self, slot: int, at: int, words: int) -> None:
        """Raises IndexError when the board has no such slot or no such words."""
        _checked(slot, len(self._view.watches), "watch slot")
        arena = len(self._view.arena)
        if not 0 <= at <= at + words <= arena:
            raise IndexError(f"no words {at} to {at + words}: the arena has {arena}")

    def reset_cell(self, cell: int) -> None:
        """Zero a cell. Raises IndexError (no such cell).

        What is pending is counted first, so that it cannot land among a new owner's numbers.
        """
        view = self._view
        _checked(cell, len(view.counters), "cell")
        self.flush()
        view.latency[cell] = 0
        view.sums[cell] = 0
        view.counters[cell] = 0


def _checked(index: int, size: int, what: str) -> int:
    if not 0 <= index < size:
        raise IndexError(f"no {what} {index}: the board has {size}")
    return index
