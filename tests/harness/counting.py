"""Columns for tests, and what the kernel of areas should count: the same in whole-array NumPy."""

import numpy as np

from sidecar.model import ColumnKind, ColumnPart
from sidecar.sketch import NOT_COUNTED, BlockCounter, Column


def numeric(name="x", edges=(0.0, 1.0, 2.0, 4.0), part=ColumnPart.FEATURE, **more):
    return Column(name=name, part=part, kind=ColumnKind.NUMERIC, edges=tuple(edges), **more)


def categorical(name="c", categories=("a", "b"), part=ColumnPart.FEATURE, **more):
    kind = ColumnKind.CATEGORICAL
    return Column(name=name, part=part, kind=kind, categories=tuple(categories), **more)


def placed(column, values):
    """The bucket of each value: int64[row], -1 for what is not counted."""
    finite = np.isfinite(values)
    if column.kind is ColumnKind.NUMERIC:
        buckets = np.searchsorted(column.edges, values, side="right")
        buckets[~finite] = column.value_buckets + 1
    else:
        known = (values >= 0) & (values < len(column.categories))
        buckets = np.where(known, np.trunc(np.where(known, values, 0)), len(column.categories))
    buckets[np.isnan(values)] = column.value_buckets
    buckets[values == NOT_COUNTED] = -1
    return buckets.astype(np.int64)


def count_in_numpy(layout, columns, values, bases, failed, latency_ns, words):
    """Adds to `words` as the kernel should; returns `(rows left out, outside)`.

    Reads the layout's own slices and nothing of the kernel's table.
    """
    starts = [layout.block_at(block) for block in range(layout.block_count)]
    known = np.isin(bases, starts).all(axis=1)
    outside = np.where(known, 0, -1)
    counter = BlockCounter.ROWS if columns is layout.columns else BlockCounter.REQUESTS
    _add(words, bases[known] + counter, 1)
    _add(words, bases[known] + counter + 1, failed[known])
    failures, latencies = (
        np.arange(layout.words)[part] for part in (layout.failed, layout.latency)
    )
    for at, column in enumerate(columns):
        place = layout.place(column)
        column_values = values[:, at]
        buckets = placed(column, column_values)
        rows = np.flatnonzero(known & (buckets >= 0))
        chosen = buckets[rows]
        blocks = bases[rows]
        _add(words, blocks + (layout.counts.start + place.counts.start + chosen)[:, None], 1)

        bins = np.searchsorted(column.bins, chosen, side="right") - 1
        special = chosen - column.value_buckets
        bins = place.bins.start + np.where(special < 0, bins, len(column.bins) + special)
        _add(words, blocks + failures[bins][:, None], failed[rows])
        _add(words, blocks + latencies[bins][:, None], np.maximum(latency_ns[rows], 0))

        summed = np.isin(chosen, column.summed)
        slots = place.sums.start + np.searchsorted(column.summed, chosen[summed])
        with np.errstate(over="ignore"):
            distance = column_values[rows[summed]] - column.center
        added = np.clip(distance, -column.reach, column.reach)
        sums = words.view(np.float64)
        _add(sums, blocks[summed] + (layout.sums.start + slots)[:, None], added)

        out = (chosen == column.value_buckets - 1) | np.isinf(column_values[rows])
        if column.kind is ColumnKind.NUMERIC:
            out |= chosen == 0
        outside[rows] += out
    return int((~known).sum()), outside


def _add(words, where, values):
    """Unbuffered: `words[where[row, key]] += values[row]`, in the kernel's order: key after key."""
    keys = where.shape[1]
    np.add.at(words, where.T.ravel(), np.tile(np.broadcast_to(values, len(where)), keys))
