"""A worker's pen: the only writer of its slice of the board.

Measured exchanges are packed into a buffer and counted by one call of the kernel per 256 of them, or
when the worker flushes (it does so a few times a second); rarer numbers are added straight to memory.
A worker that is killed loses what it had not flushed: at most 256 exchanges. What was flushed stays,
and the worker that takes its place goes on counting from there.

No locks: one writer per slice, one thread per writer. Cell -1 means "not on the board" and is ignored.

Must not know: routes, models, HTTP.
"""

from __future__ import annotations

from struct import Struct

import numpy as np

from sidecar.board.jit import RecordRows
from sidecar.board.layout import (
    LATENCY_COLUMNS,
    BoardLayout,
    CellCounter,
    ModelGauge,
    WorkerGauge,
)
from sidecar.sketch import ROW_WIDTH

PENDING_ROWS = 256
"""Rows counted per call of the kernel; the call costs about 1 us, so 256 make it free."""

_ROW = Struct(f"={ROW_WIDTH}q")
_pack_row = _ROW.pack_into
_ROW_BYTES = _ROW.size
_FULL_BYTES = PENDING_ROWS * _ROW_BYTES
_CELL_COUNTERS = len(CellCounter)
_MODEL_GAUGES = len(ModelGauge)


class Recorder:
    """Writes one worker's numbers; `words` is its slice of the board, as a memoryview of int64."""

    __slots__ = (
        "_at",
        "_cells",
        "_counters",
        "_edges",
        "_latency",
        "_model_gauges",
        "_pending",
        "_record_rows",
        "_rows",
        "_sums",
        "_table",
        "_worker_gauges",
    )

    def __init__(self, layout: BoardLayout, words: memoryview, record_rows: RecordRows) -> None:
        self._worker_gauges = words[: len(WorkerGauge)]
        self._model_gauges = words[layout.model_gauges_at : layout.counters_at]
        self._counters = words[layout.counters_at : layout.sums_at]
        block = np.frombuffer(words, dtype=np.int64)
        columns = len(LATENCY_COLUMNS)
        buckets = layout.edges.bucket_count
        self._cells = layout.cells
        self._table = np.frombuffer(self._counters, dtype=np.int64).reshape(layout.cells, -1)
        sums_end = layout.sums_at + layout.cells * columns
        self._sums = block[layout.sums_at : sums_end].reshape(layout.cells, columns)
        latency_end = layout.latency_at + layout.cells * columns * buckets
        self._latency = block[layout.latency_at : latency_end].reshape(
            layout.cells, columns, buckets
        )
        self._edges = layout.edges.values
        self._record_rows = record_rows
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

        On the request path, and written for it: one C call and one attribute, until 256 are pending.
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
        """Put what is pending onto the board. Cheap when nothing is."""
        at = self._at
        if at:
            self._at = 0
            self._record_rows(
                self._rows[: at // _ROW_BYTES], self._table, self._latency, self._sums, self._edges
            )

    def count(self, cell: int, counter: int, n: int = 1) -> None:
        """Add to a counter of a cell at once."""
        if cell >= 0:
            self._counters[cell * _CELL_COUNTERS + counter] += n

    def add_worker(self, gauge: int, n: int = 1) -> None:
        """Add to a number of this worker (below 0 to take away)."""
        self._worker_gauges[gauge] += n

    def set_worker(self, gauge: int, value: int) -> None:
        """Set a number of this worker."""
        self._worker_gauges[gauge] = value

    def add_model(self, row: int, gauge: int, n: int = 1) -> None:
        """Add to a number of a model (below 0 to take away)."""
        self._model_gauges[row * _MODEL_GAUGES + gauge] += n

    def set_model(self, row: int, gauge: int, value: int) -> None:
        """Set a number of a model."""
        self._model_gauges[row * _MODEL_GAUGES + gauge] = value

    def reset_cell(self, cell: int) -> None:
        """Zero a cell that the controller gave to another key.

        What is pending is counted first, so that it cannot land in the new key's numbers.
        """
        if not 0 <= cell < self._cells:
            raise ValueError(f"no cell {cell}: the board has {self._cells}")
        self.flush()
        self._table[cell] = 0
        self._sums[cell] = 0
        self._latency[cell] = 0

    def reset_gauges(self) -> None:
        """Zero what describes a process and not its history: called by a worker when it starts.

        A worker killed with requests in flight leaves its gauges as they were; counters go on.
        """
        for gauge in _PROCESS_GAUGES:
            self._worker_gauges[gauge] = 0
        for start in range(0, len(self._model_gauges), _MODEL_GAUGES):
            for gauge in _MODEL_PROCESS_GAUGES:
                self._model_gauges[start + gauge] = 0


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
