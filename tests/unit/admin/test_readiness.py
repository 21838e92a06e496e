"""Whether traffic should come, as a table."""

from __future__ import annotations

import pytest

from sidecar.admin.readiness import readiness
from sidecar.control.workers import WorkerStatus


def worker(index: int = 0, *, version: int | None = 7, error: str | None = None) -> WorkerStatus:
    connected = version is not None
    return WorkerStatus(
        worker=index,
        connected=connected,
        pid=1 if connected else None,
        version=version,
        error=error,
    )


def test_ready_is_every_worker_on_the_current_version():
    now = readiness([worker(0), worker(1)], version=7, draining=False)
    assert now.ready
    assert now.reasons == []


@pytest.mark.parametrize(
    ("workers", "draining", "reason"),
    [
        ([worker(version=None)], False, "worker 0 is not connected"),
        ([worker(0), worker(1, version=6)], False, "worker 1 routes by version 6, not 7"),
        ([worker(version=6, error="no CA")], False, "worker 0 refused the routing: no CA"),
        ([worker()], True, "draining"),
    ],
)
def test_whatever_is_missing_is_the_reason(workers, draining, reason):
    now = readiness(workers, version=7, draining=draining)
    assert not now.ready
    assert len(now.reasons) == 1
    assert reason in now.reasons[0]
