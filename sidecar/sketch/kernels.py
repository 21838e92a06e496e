"""The one loop that turns measured rows into counts: written in plain Python, compiled by Numba.

The functions here stay inside the subset that Numba compiles in `nopython` mode, and are ordinary
functions until someone compiles them (`sidecar.board.jit`): this package neither imports Numba nor
knows where compiled code is kept. One fused kernel per batch, because a call costs about as much as
several rows.

Must not know: processes, shared memory, clocks, names of routes or models.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

ROW_WIDTH = 6
"""A row is `cell, counter` and one value for each of the four latency columns; below 0: not measured."""


def record_rows(
    rows: IntArray,
    counters: IntArray,
    latency: IntArray,
    sums: IntArray,
    edges: npt.NDArray[np.float64],
) -> int:
    """Count every row; return how many named no cell or counter, and were left out.

    rows:     int64[n, 6]                    cell, counter, value of each column
    counters: int64[cell, counter]           += 1 at (cell, counter)
    latency:  int64[cell, column, bucket]    += 1 at the bucket of each measured value
    sums:     int64[cell, column]            += value
    edges:    float64[bucket - 1]            rising, positive, nearly log-spaced

    The bucket is the number of edges at or below the value, exactly: a logarithm only guesses where
    to begin, and comparisons with the edges decide. Nothing is written outside the arrays, whatever
    the rows say (compiled code has no bounds checks).
    """
    cells, counter_count = counters.shape
    columns = sums.shape[1]
    edge_count = edges.shape[0]
    first = edges[0]
    scale = (edge_count - 1) / math.log(edges[edge_count - 1] / first)
    left_out = 0
    for at in range(rows.shape[0]):
        cell = rows[at, 0]
        counter = rows[at, 1]
        if cell < 0 or cell >= cells or counter < 0 or counter >= counter_count:
            left_out += 1
            continue
        counters[cell, counter] += 1
        for column in range(columns):
            value = rows[at, 2 + column]
            if value < 0:
                continue
            bucket = 0
            if value >= first:
                bucket = min(int(math.log(value / first) * scale) + 1, edge_count)
                while bucket < edge_count and value >= edges[bucket]:
                    bucket += 1
                while bucket > 0 and value < edges[bucket - 1]:
                    bucket -= 1
            latency[cell, column, bucket] += 1
            sums[cell, column] += value
    return left_out
