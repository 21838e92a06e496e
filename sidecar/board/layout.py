"""What stands where on the board.

The board is one stretch of shared memory. Every number is an int64 of this machine's byte order (in
the arena also a float64) at an address divisible by 8, so that one store changes it and a reader
never sees half of it:

    header        1 page        magic (8 bytes), layout hash (32 bytes), generation (int64)
    worker 0      whole pages   one slice per worker, written by that worker alone
    worker 1
    ...

and each worker's slice:

    cell owners     int64[cell]                            fingerprints; 0: nobody yet
    model owners    int64[model_row]
    watches         int64[watch_slot, 3]                   owner, begin and end of an area
    worker gauges   int64[worker_gauge]
    model gauges    int64[model_row, model_gauge]
    counters        int64[cell, cell_counter]
    sums            int64[cell, latency_column]            nanoseconds
    (to the next page)
    latency         int64[cell, latency_column, bucket]    over the layout's edges
    (to the next page)
    arena           int64[arena_word]                      what is counted of payloads

A slice begins on a page, so that no two workers share a cache line; so does the latency block, so
that a cell nobody uses costs no resident memory (a used one costs 60 KB in each worker using it);
so does the arena. In it the controller gives every watch an area (`sidecar.sketch.areas`). Areas of
different sizes follow one another in time; a watch's slot says whose area it is and which words it
covers, so that nobody takes for its own what another has counted there since.

The hash covers everything that gives a number its meaning: enumerations, counts, edges. Who finds
memory written under another hash is told so. The generation tells two boards of one layout apart;
the launcher raises it when it allocates anew. An owner is the fingerprint of whoever a cell's or
row's numbers belong to: the controller gives a place to somebody else in time.

Must not know: what an owner is. The routing update says which route and model have which cell.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Self

import numpy as np

from sidecar.model import DropReason, ShadowOutcome, StatusClass
from sidecar.sketch import BlockCounter, Edges, IntArray, WatchCounter, latency_edges

WORD_BYTES = 8
PAGE_BYTES = 4096
_MAGIC = b"SIDECAR\x01"

LATENCY_COLUMNS = ("total", "upstream", "first_byte", "overhead")
"""The durations measured for each exchange, in the order of `Recorder.record`'s arguments."""


class CellCounter(IntEnum):
    """What is counted in a cell: how exchanges ended, retries, what became of mirrors and records.

    `RECORDS_BEFORE` is no count: it is how many exchanges had yet to be found in the journal when
    the worker's process began, see `sidecar.board.accounts`.
    """

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
    SHADOW_SKIPPED_BREAKER = 13
    SHADOW_SKIPPED_DRAINING = 14
    SHADOW_CONNECT_FAILED = 15
    SHADOW_RESET = 16
    SHADOW_TIMEOUT = 17
    SHADOW_BROKEN = 18
    RECORDS_SAMPLED_OUT = 19
    RECORDS_BEFORE = 20
    DROPPED_QUEUE_FULL = 21
    DROPPED_TOO_LARGE = 22
    DROPPED_DISK_FULL = 23
    DROPPED_JOURNAL_FULL = 24
    DROPPED_WRITE_ERROR = 25
    DROPPED_CLOSED = 26
    DROPPED_FAULT = 27

    @classmethod
    def of_status(cls, status: StatusClass) -> CellCounter:
        """The counter of exchanges that ended so."""
        name = status.value.upper()
        return cls[f"STATUS_{name}" if name[0].isdigit() else name]

    @classmethod
    def of_shadow(cls, outcome: ShadowOutcome) -> CellCounter:
        """The counter of mirrored requests that ended so."""
        return cls[f"SHADOW_{outcome.value.upper()}"]

    @classmethod
    def of_drop(cls, reason: DropReason) -> CellCounter:
        """The counter of records that were dropped so."""
        return cls[f"DROPPED_{reason.value.upper()}"]


class WorkerGauge(IntEnum):
    """One number of a worker as a whole.

    `REJECTED_*` count the answers that the sidecar itself originated, by status. `RUN` tells the
    present process of the worker from those before it (0: it is just taking over).
    """

    IN_FLIGHT = 0
    CONNECTIONS = 1
    ACCEPTED = 2
    ROUTING_VERSION = 3
    REJECTED_400 = 4
    REJECTED_404 = 5
    REJECTED_408 = 6
    REJECTED_413 = 7
    REJECTED_414 = 8
    REJECTED_417 = 9
    REJECTED_431 = 10
    REJECTED_500 = 11
    REJECTED_501 = 12
    REJECTED_502 = 13
    REJECTED_503 = 14
    REJECTED_504 = 15
    REJECTED_505 = 16
    REJECTED_OTHER = 17
    ACCEPT_PAUSED = 18
    DRAINING = 19
    SHADOWS_IN_FLIGHT = 20
    RUN = 21

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


class WatchField(IntEnum):
    """What a watch's slot says: whose area it is, and the words of the arena that it covers."""

    OWNER = 0
    BEGIN = 1
    END = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardLayout:
    """How many of everything, and so where each number stands (offsets in words of 8 bytes)."""

    workers: int
    cells: int
    model_rows: int
    arena_words: int = 0
    watch_slots: int = 64
    generation: int = 1
    edges: Edges = field(default_factory=latency_edges)

    def __post_init__(self) -> None:
        for name in ("workers", "cells", "model_rows", "generation"):
            if getattr(self, name) < 1:
                raise ValueError(f"a board has at least one of: {name}")
        for name in ("arena_words", "watch_slots"):
            if getattr(self, name) < 0:
                raise ValueError(f"a board has none or more of: {name}")

    @property
    def watches_at(self) -> int:
        """Where the watches' slots begin in a slice; the other owners are before them."""
        return self.cells + self.model_rows

    @property
    def worker_gauges_at(self) -> int:
        """Where the worker gauges begin in a slice."""
        return self.watches_at + self.watch_slots * len(WatchField)

    @property
    def model_gauges_at(self) -> int:
        """Where the model gauges begin in a slice."""
        return self.worker_gauges_at + len(WorkerGauge)

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
    def arena_at(self) -> int:
        """Where the arena begins in a slice: on a page."""
        histogram_words = self.cells * len(LATENCY_COLUMNS) * self.edges.bucket_count
        return _whole_pages(self.latency_at + histogram_words)

    @property
    def slice_words(self) -> int:
        """Words of one worker's slice: whole pages."""
        return _whole_pages(self.arena_at + self.arena_words)

    @property
    def total_bytes(self) -> int:
        """Bytes of the whole board."""
        return PAGE_BYTES + self.workers * self.slice_words * WORD_BYTES

    def slice_at(self, worker: int) -> int:
        """Where a worker's slice begins on the board."""
        if not 0 <= worker < self.workers:
            raise IndexError(f"no worker {worker}: the board has {self.workers}")
        return PAGE_BYTES // WORD_BYTES + worker * self.slice_words

    @property
    def content_hash(self) -> bytes:
        """32 bytes over everything that gives a number on the board its meaning."""
        meaning = {
            "workers": self.workers,
            "cells": self.cells,
            "model_rows": self.model_rows,
            "arena_words": self.arena_words,
            "watch_slots": self.watch_slots,
            "watch_fields": list(WatchField.__members__),
            "watch_counters": list(WatchCounter.__members__),
            "block_counters": list(BlockCounter.__members__),
            "counters": list(CellCounter.__members__),
            "worker_gauges": list(WorkerGauge.__members__),
            "model_gauges": list(ModelGauge.__members__),
            "columns": LATENCY_COLUMNS,
            "edges": self.edges.content_hash,
        }
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).digest()

    @property
    def header(self) -> bytes:
        """The bytes that the memory of such a board begins with."""
        return _MAGIC + self.content_hash + self.generation.to_bytes(WORD_BYTES, sys.byteorder)


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceView:
    """One worker's slice as arrays over the same memory: reading copies nothing.

    cell_owners:   int64[cell]
    model_owners:  int64[model_row]
    watches:       int64[watch_slot, watch_field]
    worker_gauges: int64[worker_gauge]
    model_gauges:  int64[model_row, model_gauge]
    counters:      int64[cell, cell_counter]
    sums:          int64[cell, latency_column]
    latency:       int64[cell, latency_column, bucket]
    arena:         int64[arena_word]
    """

    cell_owners: IntArray
    model_owners: IntArray
    watches: IntArray
    worker_gauges: IntArray
    model_gauges: IntArray
    counters: IntArray
    sums: IntArray
    latency: IntArray
    arena: IntArray

    @classmethod
    def of(cls, layout: BoardLayout, words: memoryview) -> Self:
        """The arrays of a slice (a memoryview of int64, `layout.slice_words` long)."""
        block = np.frombuffer(words, dtype=np.int64)
        columns, cells = len(LATENCY_COLUMNS), layout.cells
        sums_end = layout.sums_at + cells * columns
        latency_end = layout.latency_at + cells * columns * layout.edges.bucket_count
        return cls(
            cell_owners=block[:cells],
            model_owners=block[cells : layout.watches_at],
            watches=block[layout.watches_at : layout.worker_gauges_at].reshape(
                layout.watch_slots, len(WatchField)
            ),
            worker_gauges=block[layout.worker_gauges_at : layout.model_gauges_at],
            model_gauges=block[layout.model_gauges_at : layout.counters_at].reshape(
                layout.model_rows, len(ModelGauge)
            ),
            counters=block[layout.counters_at : layout.sums_at].reshape(cells, len(CellCounter)),
            sums=block[layout.sums_at : sums_end].reshape(cells, columns),
            latency=block[layout.latency_at : latency_end].reshape(
                cells, columns, layout.edges.bucket_count
            ),
            arena=block[layout.arena_at : layout.arena_at + layout.arena_words],
        )


def fingerprint(owner: str) -> int:
    """A word that stands for an owner; never 0, which is nobody."""
    digest = hashlib.blake2b(owner.encode(), digest_size=WORD_BYTES).digest()
    return int.from_bytes(digest, sys.byteorder, signed=True) or 1


def _whole_pages(words: int) -> int:
    page_words = PAGE_BYTES // WORD_BYTES
    return -(-words // page_words) * page_words
