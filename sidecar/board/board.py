"""The board as a whole: allocated once before the fork, written by workers, read by anyone.

Must not know: who is called what; cells and rows are numbers here.
"""

from __future__ import annotations

import mmap
import os
from typing import Self

import numpy as np

from sidecar.board.jit import Kernels, warm
from sidecar.board.layout import PAGE_BYTES, WORD_BYTES, BoardLayout
from sidecar.board.memory import allocate_shared
from sidecar.board.reading import Snapshot, read_slices
from sidecar.board.recorder import Recorder
from sidecar.errors import LocalError

_MAGIC = b"SIDECAR\x01"


class Board:
    """Shared memory of a known layout, and the kernels that write it."""

    def __init__(self, layout: BoardLayout, memory: mmap.mmap, kernels: Kernels) -> None:
        """Take memory that carries this layout's header. Raises LocalError when it carries another."""
        if memory[: len(_header(layout))] != _header(layout):
            raise LocalError("the board in memory has another layout", code="board_layout")
        self.layout = layout
        self.kernels = kernels
        self._words = memoryview(memory).cast("q")

    @classmethod
    def allocate(cls, layout: BoardLayout, kernels: Kernels | None = None) -> Self:
        """A new board, shared with every process forked from now on. Raises LocalError (no memory)."""
        memory = allocate_shared("sidecar-board", layout.total_bytes)
        header = _header(layout)
        memory[: len(header)] = header
        return cls(layout, memory, kernels or warm(os.environ))

    def recorder(self, worker_index: int) -> Recorder:
        """The pen of a worker. One at a time per worker; who restarts it goes on where it ended."""
        return Recorder(self.layout, self._slice(worker_index), self.kernels.record_rows)

    def snapshot(self) -> Snapshot:
        """All numbers as they stand now."""
        return read_slices(self.layout, [self._slice(n) for n in range(self.layout.workers)])

    def _slice(self, worker: int) -> memoryview:
        start = self.layout.slice_at(worker)
        return self._words[start : start + self.layout.slice_words]


def _header(layout: BoardLayout) -> bytes:
    return _MAGIC + layout.content_hash + np.int64(layout.generation).tobytes()


assert len(_MAGIC) == WORD_BYTES < PAGE_BYTES
