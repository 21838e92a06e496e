import pytest
from harness.drift_world import DriftWorld, rows

from sidecar.baseline import learn
from sidecar.baseline.roles import Roles


@pytest.fixture(scope="session")
def baseline():
    return learn("stable", rows(50_000, seed=1), Roles(prediction="prediction", score="score"))


@pytest.fixture
def world(tmp_path, baseline):
    return DriftWorld(tmp_path, baseline=baseline)
