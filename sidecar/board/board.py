"""The board as a whole: allocated once before the fork, written by workers, read by anyone.

Must not know: who is called what; cells and rows are numbers here.
"""

from __future__ import annotations

import mmap
import os
from typing import Self

from sidecar.board.accounts import Accounts, read_accounts, take_over
from sidecar.board.jit import Kernels, warm
from sidecar.board.layout import BoardLayout
from sidecar.board.memory import allocate_shared
from sidecar.board.reading import Snapshot, read_area, read_slices
from sidecar.board.recorder import Recorder
from sidecar.errors import LocalError
from sidecar.sketch import Area, AreaLayout


class Board:
    """Shared memory of a known layout, and the kernels that write it.

    Raises LocalError when the memory carries the header of another layout.
    """

    def __init__(self, layout: BoardLayout, memory: mmap.mmap, kernels: Kernels) -> None:
        if memory[: len(layout.header)] != layout.header:
            raise LocalError("the memory holds a board of another layout", code="board_layout")
        self.layout = layout
        self.kernels = kernels
        self._words = memoryview(memory).cast("q")

    @classmethod
    def allocate(cls, layout: BoardLayout, kernels: Kernels | None = None) -> Self:
        """A new board, shared with every process forked from now on.

        Without `kernels` they are warmed here. Raises LocalError when there is not enough memory.
        """
        memory = allocate_shared("sidecar-board", layout.total_bytes)
        memory[: len(layout.header)] = layout.header
        return cls(layout, memory, kernels or warm(os.environ))

    def recorder(self, worker_index: int) -> Recorder:
        """The pen of a worker; nobody else may hold it at the same time.

        Who takes it up after another goes on counting where that one ended (see `reset_gauges`).
        Raises IndexError when the board has no such worker.
        """
        return Recorder(self.layout, self._slice(worker_index), self.kernels)

    def take_over(self, worker_index: int, run: int) -> None:
        """A new process begins to count for this worker; `run` tells it from those before it."""
        take_over(self.layout, self._slice(worker_index), run)

    def accounts(self) -> Accounts:
        """What has to be found in the journal, worker by worker."""
        return read_accounts(self.layout, self._slices())

    def snapshot(self) -> Snapshot:
        """All numbers as they stand now."""
        return read_slices(self.layout, self._slices())

    def read_area(self, layout: AreaLayout, *, slot: int, at: int, owner: str) -> Area:
        """What was counted of a watch, by all workers together; see `Recorder.open_area`.

        Raises IndexError when the board has no such slot or words.
        """
        return read_area(self.layout, self._slices(), layout, slot=slot, at=at, owner=owner)

    def _slices(self) -> list[memoryview]:
        return [self._slice(worker) for worker in range(self.layout.workers)]

    def _slice(self, worker: int) -> memoryview:
        start = self.layout.slice_at(worker)
        return self._words[start : start + self.layout.slice_words]
