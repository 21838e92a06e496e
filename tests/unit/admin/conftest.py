import os
from dataclasses import dataclass

import pytest

from sidecar.board import Board, BoardLayout, warm
from sidecar.model import CellKey, Role


@dataclass(frozen=True)
class Routing:
    """What an exposition must know of the routing; cell 2 and row 1 are nobody's."""

    version: int = 7
    cells: tuple = (
        CellKey(route="iris", model="stable", role=Role.PRIMARY),
        CellKey(route="iris", model="next", role=Role.CANARY),
        None,
        CellKey(route="iris", model="trial", role=Role.SHADOW),
    )
    model_rows: tuple = ("stable", None, "next")


@pytest.fixture(scope="session")
def kernels():
    return warm(os.environ)


@pytest.fixture
def routing():
    return Routing()


@pytest.fixture
def board(kernels):
    return Board.allocate(BoardLayout(workers=2, cells=4, model_rows=3), kernels)
