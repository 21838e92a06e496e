"""The stage that tables of forwarded exchanges are played on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness.forwarding import Play, Stage
from harness.upstream import Upstream
from harness.worker import RunningWorker


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    play = Play()
    with Upstream(play) as model, RunningWorker(models={"stable": model.url}) as worker:
        yield Stage(worker, model, play)
