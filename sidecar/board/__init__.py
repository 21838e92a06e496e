"""Numbers that only add up, in memory shared by all processes: who writes them, who reads them."""

from sidecar.board.accounts import Accounts
from sidecar.board.board import Board
from sidecar.board.jit import Kernels, WarmReport, warm
from sidecar.board.layout import (
    LATENCY_COLUMNS,
    BoardLayout,
    CellCounter,
    ModelGauge,
    WorkerGauge,
)
from sidecar.board.reading import Snapshot
from sidecar.board.recorder import Recorder

__all__ = [
    "LATENCY_COLUMNS",
    "Accounts",
    "Board",
    "BoardLayout",
    "CellCounter",
    "Kernels",
    "ModelGauge",
    "Recorder",
    "Snapshot",
    "WarmReport",
    "WorkerGauge",
    "warm",
]
