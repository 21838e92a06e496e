"""The loop that turns measured rows into counts: plain Python, in the subset that Numba compiles.

These are ordinary functions until someone compiles them (`sidecar.board` does, and keeps the
code); tests run them both ways. One fused kernel per batch, since a call costs as much as some
twenty rows.

Must not know: processes, shared memory, clocks, the names of routes and models.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

ROW_WIDTH = 6
"""A row is `cell, counter` and one value per latency column (four); below 0: not measured."""


def record_rows(
    rows: IntArray,
    counters: IntArray,
    latency: IntArray,
    sums: IntArray,
    edges: npt.NDArray[np.float64],
) -> int:
    """Count every row; the return value is how many named no cell or counter and were left out.

    rows:     int64[n, 6]                    cell, counter, value of each column
    counters: int64[cell, counter]           += 1 at (cell, counter)
    latency:  int64[cell, column, bucket]    += 1 at the bucket of each measured value
    sums:     int64[cell, column]            += value
    edges:    float64[bucket - 1]            positive, rising, roughly log-spaced

    The bucket is the number of edges at or below the value, exactly: the logarithm only guesses
    where to look, comparisons decide. Values over 2**53 ns (104 days) are in the overflow anyway,
    so that comparing them as float64 loses nothing. Compiled code checks no bounds, so this does:
    whatever the rows say, nothing outside the arrays is written.
    """
    cells, counters_per_cell = counters.shape
    columns = sums.shape[1]
    last = edges.shape[0] - 1
    first_edge = edges[0]
    edges_per_log = last / math.log(edges[last] / first_edge)
    left_out = 0
    for at in range(rows.shape[0]):
        cell = rows[at, 0]
        counter = rows[at, 1]
        if cell < 0 or cell >= cells or counter < 0 or counter >= counters_per_cell:
            left_out += 1
            continue
        counters[cell, counter] += 1
        for column in range(columns):
            value = rows[at, 2 + column]
            if value < 0:
                continue
            bucket = 0
            if value >= first_edge:
                bucket = min(int(math.log(value / first_edge) * edges_per_log), last) + 1
                while bucket <= last and value >= edges[bucket]:
                    bucket += 1
                while value < edges[bucket - 1]:
                    bucket -= 1
            latency[cell, column, bucket] += 1
            sums[cell, column] += value
    return left_out
