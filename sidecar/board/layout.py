"""What stands where on the board.

The board is one stretch of shared memory. Everything is a little-endian-on-this-machine int64, so
that one aligned store changes a number and a reader never sees half of one:

    header        1 page        magic, layout hash (8 words), generation
    worker 0      whole pages   one slice per worker, written by that worker alone
    worker 1
    ...

and each worker's slice:

    worker gauges   int64[worker_gauge]
    model gauges    int64[model_row, model_gauge]
    counters        int64[cell, cell_counter]
    sums            int64[cell, latency_column]
    (to the next page)
    latency         int64[cell, latency_column, bucket]       nanoseconds, `edges` of the layout

Slices begin on a page, so that no two workers share a cache line; the latency block does too, so that
a cell nobody uses costs no resident memory (a used one costs 60 KB in each worker).

The layout's hash covers everything that gives a number its meaning (enumerations, counts, edges);
who reads memory written under another hash is told so. The generation tells two boards of the same
layout apart: the launcher raises it when it allocates anew.

Must not know: which route or model stands behind a cell; that is the routing update's to say.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import IntEnum

from sidecar.model import ShadowOutcome, StatusClass
from sidecar.sketch import Edges, latency_edges

WORD_BYTES = 8
PAGE_BYTES = 4096

LATENCY_COLUMNS = ("total", "upstream", "first_byte", "overhead")
"""The durations measured for each exchange, in the order of `Recorder.record`'s arguments."""


class CellCounter(IntEnum):
    """What is counted in a cell: how exchanges ended, retries, and what became of mirrors."""

    STATUS_1XX = 0
    STATUS_2XX = 1
    STATUS_3XX = 2
    STATUS_4XX = 3
    STATUS_5XX = 4
    ERROR = 5
    FALLBACK = 6
    ABORTED = 7
    RETRIES = 8
    SHADOW_ANSWERED = 9
    SHADOW_SKIPPED_BUSY = 10
    SHADOW_SKIPPED_TOO_LARGE = 11
    SHADOW_SKIPPED_INCOMPLETE = 12
    SHADOW_SKIPPED_DRAINING = 13
    SHADOW_CONNECT_FAILED = 14
    SHADOW_RESET = 15
    SHADOW_TIMEOUT = 16
    SHADOW_BROKEN = 17

    @classmethod
    def of_status(cls, status: StatusClass) -> CellCounter:
        """The counter of exchanges that ended so."""
        name = status.value.upper()
        return cls[f"STATUS_{name}" if name[0].isdigit() else name]

    @classmethod
    def of_shadow(cls, outcome: ShadowOutcome) -> CellCounter:
        """The counter of mirrored requests that ended so."""
        return cls[f"SHADOW_{outcome.value.upper()}"]


class WorkerGauge(IntEnum):
    """One number of a worker as a whole.

    `REJECTED_*` count the answers that the sidecar itself originated, by status.
    """

    IN_FLIGHT = 0
    CONNECTIONS = 1
    ACCEPTED = 2
    REQUESTS = 3
    ROUTING_VERSION = 4
    REJECTED_400 = 5
    REJECTED_404 = 6
    REJECTED_408 = 7
    REJECTED_413 = 8
    REJECTED_414 = 9
    REJECTED_417 = 10
    REJECTED_431 = 11
    REJECTED_500 = 12
    REJECTED_501 = 13
    REJECTED_502 = 14
    REJECTED_503 = 15
    REJECTED_504 = 16
    REJECTED_505 = 17
    REJECTED_OTHER = 18
    CONNECTIONS_REFUSED = 19
    DRAINING = 20
    SHADOWS_IN_FLIGHT = 21

    @classmethod
    def rejected(cls, status: int) -> WorkerGauge:
        """The counter of answers with this status that the sidecar originated."""
        return cls.__members__.get(f"REJECTED_{status}", cls.REJECTED_OTHER)


class ModelGauge(IntEnum):
    """One number of a worker's dealings with a model, all its endpoints together.

    `BREAKER` is 0 closed, 1 half-open, 2 open.
    """

    BREAKER = 0
    BREAKER_OPENED = 1
    CONNECTIONS = 2
    IDLE = 3
    WAITERS = 4
    CONNECTS = 5
    CONNECT_FAILURES = 6
    IDLE_CLOSED_BY_MODEL = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardLayout:
    """How many of everything, and so where each number stands (offsets in words of 8 bytes)."""

    workers: int
    cells: int
    model_rows: int
    generation: int = 1
    edges: Edges = field(default_factory=latency_edges)

    def __post_init__(self) -> None:
        for name in ("workers", "cells", "model_rows", "generation"):
            if getattr(self, name) < 1:
                raise ValueError(f"a board has at least one of: {name}")

    @property
    def model_gauges_at(self) -> int:
        """Where the model gauges begin in a slice; the worker gauges begin at 0."""
        return len(WorkerGauge)

    @property
    def counters_at(self) -> int:
        """Where the cell counters begin in a slice."""
        return self.model_gauges_at + self.model_rows * len(ModelGauge)

    @property
    def sums_at(self) -> int:
        """Where the sums of durations begin in a slice."""
        return self.counters_at + self.cells * len(CellCounter)

    @property
    def latency_at(self) -> int:
        """Where the histograms begin in a slice: on a page."""
        return _whole_pages(self.sums_at + self.cells * len(LATENCY_COLUMNS))

    @property
    def slice_words(self) -> int:
        """Words of one worker's slice: whole pages."""
        histogram_words = self.cells * len(LATENCY_COLUMNS) * self.edges.bucket_count
        return _whole_pages(self.latency_at + histogram_words)

    @property
    def total_bytes(self) -> int:
        """Bytes of the whole board."""
        return PAGE_BYTES + self.workers * self.slice_words * WORD_BYTES

    def slice_at(self, worker: int) -> int:
        """Where a worker's slice begins on the board."""
        if not 0 <= worker < self.workers:
            raise ValueError(f"no worker {worker}: the board has {self.workers}")
        return PAGE_BYTES // WORD_BYTES + worker * self.slice_words

    @property
    def content_hash(self) -> bytes:
        """32 bytes over everything that gives a number on the board its meaning."""
        meaning = {
            "workers": self.workers,
            "cells": self.cells,
            "model_rows": self.model_rows,
            "counters": list(CellCounter.__members__),
            "worker_gauges": list(WorkerGauge.__members__),
            "model_gauges": list(ModelGauge.__members__),
            "columns": LATENCY_COLUMNS,
            "edges": self.edges.content_hash,
        }
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).digest()


def _whole_pages(words: int) -> int:
    page_words = PAGE_BYTES // WORD_BYTES
    return -(-words // page_words) * page_words
