import os

import pytest

from sidecar.board import warm


@pytest.fixture(scope="session")
def kernels():
    return warm(os.environ)
