import os

import pytest
from harness.logbook_desk import Desk

from sidecar.board import warm


@pytest.fixture(scope="session")
def kernels():
    return warm(os.environ)


@pytest.fixture
def desk(kernels):
    return Desk(kernels)
