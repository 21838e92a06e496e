"""Rows and requests of one watch that wait to be counted: one call of the kernel for many.

Rows (features, predictions) and requests (latency, tokens) are counted apart: a request of a
hundred rows has one latency. Both are packed into buffers as they are read,

    row        float64 per column,  int64 number of its request, int64 base of its block per key
    request    float64 per measure, int64 failed, latency_ns,    int64 base of its block per key

and counted when a buffer is full or the worker flushes. Rows go first: how unusual a request is
depends on how many of its values the kernel finds outside of the reference.

The score of a request: each unusual thing about it halves what it lacks to 1,

    unusual = 1 - 2 ** -(outside + unsure + slow)

    outside   values of its most unusual row outside of the reference: in an outermost bucket, of
              no known category, infinite
    unsure    1 when the confidence is in the lowest bin of the reference, its lowest tenth
    slow      1 when it took longer than 99 % of the last 4096 did, of 1000 at least

Must not know: bodies, codecs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from struct import Struct
from typing import Final

import numpy as np

from sidecar.baseline.measures import UNUSUAL
from sidecar.model import ColumnKind, ColumnPart
from sidecar.monitor.rows import CONFIDENCE
from sidecar.sketch import IntArray
from sidecar.sketch.areas import AreaLayout
from sidecar.sketch.distribution import FloatArray
from sidecar.sketch.fused import NOT_COUNTED, ColumnTable, CountValues

CAPACITY: Final = 256
"""Rows, and requests, counted by one call."""

SLOW_SHARE: Final = 0.99
SLOW_FROM: Final = 1000  # requests; a quantile of fewer says little
RECENT: Final = 4096  # requests among which one may be slow

Judged = Callable[[FloatArray], None]


class Batch:
    """See the module's text. `area` is the watch's part of the board, `keys` how many blocks a row
    is counted in. `judged` is told the scores of the requests counted, in their order.
    """

    def __init__(
        self,
        layout: AreaLayout,
        area: IntArray,
        keys: int,
        count_values: CountValues,
    ) -> None:
        self._layout = layout
        self._area = area
        self._count_values = count_values
        self.judged: Judged | None = None
        self._unused = np.empty(CAPACITY, dtype=np.int64)
        self._columns = ColumnTable.of_columns(layout)
        self._measures = ColumnTable.of_measures(layout)
        self._rows = _Buffer(len(layout.columns), 1 + keys)
        self._requests = _Buffer(len(layout.measures), 2 + keys)
        self._strange = np.zeros(CAPACITY, dtype=np.int64)  # by request: see `outside`, `unsure`
        names = [column.name for column in layout.measures]
        self._unusual_at = names.index(UNUSUAL) if UNUSUAL in names else -1
        self._confidence_at, self._unsure_below = _confidence(layout)
        self._slow_ns = inf
        self._latencies = np.zeros(RECENT, dtype=np.int64)
        self._latencies_seen = 0

    # -- on the way in ---------------------------------------------------------------------------

    def open_request(
        self, measures: Sequence[float], failed: bool, latency_ns: int, bases: Sequence[int]
    ) -> None:
        """Add a request; the rows added next are its own."""
        requests = self._requests
        if requests.count == CAPACITY:
            self.flush()
        requests.pack_into(requests.data, requests.at, *measures, failed, latency_ns, *bases)
        requests.at += requests.size
        requests.count += 1

    def add_row(
        self, cells: Sequence[object], outputs: Sequence[float], bases: Sequence[int]
    ) -> None:
        """Add a row. Raises struct.error, TypeError or OverflowError, and adds nothing, unless all
        cells are numbers.
        """
        rows = self._rows
        rows.pack_into(rows.data, rows.at, *cells, *outputs, self._requests.count - 1, *bases)
        rows.at += rows.size
        rows.count += 1
        if rows.count == CAPACITY:
            self._count_rows()

    # -- onto the board --------------------------------------------------------------------------

    def flush(self) -> None:
        """Count what waits; free when nothing does."""
        n = self._requests.count
        if not n:
            return
        self._count_rows()
        requests = self._requests
        requests.count = requests.at = 0
        words = requests.words[:n]
        latency_ns = words[:, 1].copy()
        strange = self._strange[:n]
        unusual = 1.0 - np.exp2(-(strange + (latency_ns > self._slow_ns)))
        strange[:] = 0
        self._remember(latency_ns)
        measures = requests.values[:n].copy()
        if self._unusual_at >= 0:
            measures[:, self._unusual_at] = unusual
        self._measures.count(
            self._count_values,
            measures,
            words[:, 2:].copy(),
            words[:, 0].copy(),
            latency_ns,
            self._area,
            self._unused[:n],
        )
        if self.judged is not None:
            self.judged(unusual)

    def _count_rows(self) -> None:
        rows = self._rows
        n = rows.count
        if not n:
            return
        rows.count = rows.at = 0
        words = rows.words[:n]
        request = words[:, 0]
        of_request = self._requests.words[request]
        values = rows.values[:n].copy()
        strange = np.empty(n, dtype=np.int64)
        self._columns.count(
            self._count_values,
            values,
            words[:, 1:].copy(),
            of_request[:, 0].copy(),
            of_request[:, 1].copy(),
            self._area,
            strange,
        )
        if self._confidence_at >= 0:
            confidence = values[:, self._confidence_at]
            strange += (confidence < self._unsure_below) & (confidence != NOT_COUNTED)
        np.maximum.at(self._strange, request, strange)

    def learn_what_is_slow(self) -> None:
        """Find out anew which latency is slow: cheap, and meant to be done every few seconds."""
        measured = self._latencies[: min(self._latencies_seen, RECENT)]
        if len(measured) >= SLOW_FROM:
            self._slow_ns = float(np.quantile(measured, SLOW_SHARE))

    def _remember(self, latency_ns: IntArray) -> None:
        """Keep measured latencies: the oldest make room."""
        measured = latency_ns[latency_ns >= 0]
        at = self._latencies_seen % RECENT
        first = measured[: RECENT - at]
        self._latencies[at : at + len(first)] = first
        self._latencies[: len(measured) - len(first)] = measured[len(first) :]
        self._latencies_seen += len(measured)


class _Buffer:
    """Records of `floats` float64 and `integers` int64, side by side.

    values: float64[CAPACITY, floats]      views of the same memory
    words:  int64[CAPACITY, integers]
    """

    __slots__ = ("at", "count", "data", "pack_into", "size", "values", "words")

    def __init__(self, floats: int, integers: int) -> None:
        record = Struct(f"={floats}d{integers}q")
        self.pack_into = record.pack_into
        self.size = record.size
        self.data = bytearray(CAPACITY * record.size)
        self.at = 0
        self.count = 0
        whole = np.frombuffer(self.data, dtype=np.int64).reshape(CAPACITY, floats + integers)
        self.values: FloatArray = whole[:, :floats].view(np.float64)
        self.words: IntArray = whole[:, floats:]


def _confidence(layout: AreaLayout) -> tuple[int, float]:
    """Where the confidence stands among the columns, and what ends its lowest bin; -1: nowhere."""
    for at, column in enumerate(layout.columns):
        is_confidence = column.part is ColumnPart.SCORE and column.name == CONFIDENCE
        if is_confidence and column.kind is ColumnKind.NUMERIC and len(column.bins) > 1:
            return at, column.edges[column.bins[1] - 1]
    return -1, -inf
