"""Rows and requests of one watch that wait to be counted: one call of the kernel for many.

Rows (features, predictions) and requests (latency, tokens) are counted apart: a request of a
hundred rows has one latency. They wait in records of one kind,

    float64 per column,  float64 per measure,  int64 what,  failed,  latency_ns,  base per key

of which `what` says whether a record is a ROW, a REQUEST, or both at once, as with a request of a
single row. The record of a request follows those of its rows. What waits is counted when there are
256 records or the worker flushes. Rows go first: how unusual a request is depends on how many of
its values the kernel finds outside of the reference.

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
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from sidecar.baseline.measures import LATENCY, REQUEST_ROWS, UNUSUAL
from sidecar.model import ColumnKind, ColumnPart
from sidecar.monitor.rows import CONFIDENCE
from sidecar.sketch import NOT_COUNTED, AreaLayout, ColumnTable, CountValues, FloatArray, IntArray

if TYPE_CHECKING:
    from sidecar.monitor.exchanges import Group

CAPACITY: Final = 256
"""Records counted by one call."""

ROW: Final = 1
REQUEST: Final = 2

SLOW_SHARE: Final = 0.99
SLOW_FROM: Final = 1000  # requests; a quantile of fewer says little
RECENT: Final = 4096  # requests among which one may be slow

Judged = Callable[[FloatArray, list["Group"]], None]


class Batch:
    """See the module's text. `area` is the watch's part of the board, `keys` how many blocks a row
    is counted in. `judged` is told the scores of the requests counted, and whose they are, both in
    their order.
    """

    def __init__(
        self, layout: AreaLayout, area: IntArray, keys: int, count_values: CountValues
    ) -> None:
        columns, measures = len(layout.columns), len(layout.measures)
        record = Struct(f"={columns + measures}d{3 + keys}q")
        self.judged: Judged | None = None
        self.no_cells = [NOT_COUNTED] * columns
        self.no_measures = [NOT_COUNTED] * measures
        self._area = area
        self._count_values = count_values
        self._columns = ColumnTable.of_columns(layout)
        self._measures = ColumnTable.of_measures(layout)
        self._pack_into = record.pack_into
        self._size = record.size
        self._end = CAPACITY * record.size
        self._at = 0
        self._records = bytearray(self._end)
        words = np.frombuffer(self._records, dtype=np.int64).reshape(CAPACITY, -1)
        floats = words.view(np.float64)
        self._cells: FloatArray = floats[:, :columns]
        self._measured: FloatArray = floats[:, columns : columns + measures]
        self._facts: IntArray = words[:, columns + measures :]
        self._groups: list[Group] = []  # of the requests that wait
        self._strangest = 0  # row of the request whose own record has not come yet
        names = [column.name for column in layout.measures]
        self._latency_at = names.index(LATENCY) if LATENCY in names else -1
        self._singles = 0
        self._single_cells = np.empty((CAPACITY, columns))
        self._single_latencies = np.empty(CAPACITY, dtype=np.int64)
        self._single_bases = np.full((CAPACITY, keys), layout.blocks_at)
        self._single_measured = np.full((CAPACITY, measures), NOT_COUNTED)
        self._none_failed = np.zeros(CAPACITY, dtype=np.int64)
        if REQUEST_ROWS in names:
            self._single_measured[:, names.index(REQUEST_ROWS)] = 1.0
        self._unusual_at = names.index(UNUSUAL) if UNUSUAL in names else -1
        self._confidence_at, self._unsure_below = _confidence(layout)
        self._slow_ns = inf
        self._latencies = np.zeros(RECENT, dtype=np.int64)
        self._latencies_seen = 0

    def add(
        self,
        what: int,
        cells: Sequence[object],
        outputs: Sequence[float],
        measures: Sequence[float],
        failed: bool,
        latency_ns: int,
        bases: Sequence[int],
        of: Group | None = None,
    ) -> None:
        """Add a row, a request or both; `of` says whose a request is, for `judged`.

        Raises struct.error, TypeError or OverflowError, and adds nothing, unless all cells are
        numbers.
        """
        if self._singles and self.judged is not None:
            self.flush()
        at = self._at
        self._pack_into(
            self._records, at, *cells, *outputs, *measures, what, failed, latency_ns, *bases
        )
        if of is not None:
            self._groups.append(of)
        at += self._size
        self._at = at
        if at == self._end:
            self.flush()

    def add_single(
        self,
        cells: FloatArray,
        latency_ns: IntArray,
        bases: IntArray | None = None,
        of: Group | None = None,
    ) -> None:
        """Add requests of one row each that did not fail; at most CAPACITY.

        cells:      float64[request, column]
        latency_ns: int64[request]             0 or more
        bases:      int64[request, key]        None: the only block
        of:         whose they are, for `judged`
        """
        if self._at and self.judged is not None:
            self.flush()
        first, last = self._singles, self._singles + len(cells)
        if last > CAPACITY:
            self._count_singles()
            first, last = 0, len(cells)
        self._single_cells[first:last] = cells
        self._single_latencies[first:last] = latency_ns
        if bases is not None:
            self._single_bases[first:last] = bases
        self._singles = last
        if of is not None:
            self._groups.append(of)

    def flush(self) -> None:
        """Count what waits; free when nothing does."""
        if self._singles:
            self._count_singles()
        if self._at:
            self._count_records()

    def _count_singles(self) -> None:
        n, self._singles = self._singles, 0
        groups, self._groups = self._groups, []
        facts = self._single_bases[:n], self._none_failed[:n], self._single_latencies[:n]
        strange = self._count_rows(self._single_cells[:n], *facts)
        measured = self._single_measured[:n]
        if self._latency_at >= 0:
            measured[:, self._latency_at] = facts[-1]
        self._count_requests(measured, *facts, strange, groups)

    def _count_records(self) -> None:
        n = self._at // self._size
        self._at = 0
        groups, self._groups = self._groups, []
        what = self._facts[:n, 0]
        rows = np.flatnonzero(what & ROW)
        requests = np.flatnonzero(what & REQUEST)
        strange = np.zeros(len(requests) + 1, dtype=np.int64)  # the last: still without its record
        strange[0] = self._strangest
        if len(rows):
            # A row belongs to the first request at or behind it.
            found = self._count_rows(self._cells[rows], *self._facts_of(rows))
            np.maximum.at(strange, np.searchsorted(requests, rows), found)
        self._strangest = int(strange[-1])
        if len(requests):
            facts = self._facts_of(requests)
            self._count_requests(self._measured[requests], *facts, strange[:-1], groups)

    def _facts_of(self, records: npt.NDArray[np.intp]) -> tuple[IntArray, IntArray, IntArray]:
        """Bases, failed and latency of records, as the kernel takes them."""
        facts = self._facts[records]
        return facts[:, 3:].copy(), facts[:, 1].copy(), facts[:, 2].copy()

    def _count_rows(
        self, cells: FloatArray, bases: IntArray, failed: IntArray, latency_ns: IntArray
    ) -> IntArray:
        """Count rows; returns how many things about each are strange."""
        strange = np.empty(len(cells), dtype=np.int64)
        self._columns.count(
            self._count_values, cells, bases, failed, latency_ns, self._area, strange
        )
        if self._confidence_at >= 0:
            confidence = cells[:, self._confidence_at]
            strange += (confidence < self._unsure_below) & (confidence != NOT_COUNTED)
        return strange

    def _count_requests(
        self,
        measured: FloatArray,
        bases: IntArray,
        failed: IntArray,
        latency_ns: IntArray,
        strange: IntArray,
        groups: list[Group],
    ) -> None:
        if self._slow_ns < inf:
            strange = strange + (latency_ns > self._slow_ns)
        unusual: FloatArray = 1.0 - np.exp2(-strange)
        if self._unusual_at >= 0:
            measured[:, self._unusual_at] = unusual
        outside = np.empty(len(measured), dtype=np.int64)
        self._measures.count(
            self._count_values, measured, bases, failed, latency_ns, self._area, outside
        )
        self._remember(latency_ns)
        if self.judged is not None:
            self.judged(unusual, groups)

    # -- what is slow ----------------------------------------------------------------------------

    def _remember(self, latency_ns: IntArray) -> None:
        """Keep measured latencies: the oldest make room."""
        at = self._latencies_seen % RECENT
        measured = latency_ns[latency_ns >= 0]
        first = measured[: RECENT - at]
        self._latencies[at : at + len(first)] = first
        self._latencies[: len(measured) - len(first)] = measured[len(first) :]
        self._latencies_seen += len(measured)

    def learn_what_is_slow(self) -> None:
        """Find out anew which latency is slow: cheap, and meant to be done every few seconds."""
        measured = self._latencies[: min(self._latencies_seen, RECENT)]
        if len(measured) >= SLOW_FROM:
            self._slow_ns = float(np.quantile(measured, SLOW_SHARE))


def _confidence(layout: AreaLayout) -> tuple[int, float]:
    """Where the confidence stands among the columns, and what ends its lowest bin; -1: nowhere."""
    for at, column in enumerate(layout.columns):
        is_confidence = column.part is ColumnPart.SCORE and column.name == CONFIDENCE
        if is_confidence and column.kind is ColumnKind.NUMERIC and len(column.bins) > 1:
            return at, column.edges[column.bins[1] - 1]
    return -1, -inf
