import os

import pytest

from sidecar.board import Board, BoardLayout, warm


@pytest.fixture(scope="session")
def kernels():
    return warm(os.environ)


@pytest.fixture
def board(kernels):
    return Board.allocate(BoardLayout(workers=2, cells=4, model_rows=3), kernels)
