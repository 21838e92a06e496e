"""Whether this sidecar should get traffic, and if not, why: one pure question."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from sidecar.control.workers import WorkerStatus


class Readiness(Struct, frozen=True, kw_only=True):
    """`ready`, or the reasons why not, as sentences."""

    ready: bool
    reasons: list[str]


def readiness(workers: Sequence[WorkerStatus], *, version: int, draining: bool) -> Readiness:
    """Ready: every expected worker accepts connections and routes by `version`, and nobody drains.

    A worker acknowledges its first update only after its listeners accept.
    """
    reasons = ["draining"] if draining else []
    for worker in workers:
        if not worker.connected:
            reasons.append(f"worker {worker.worker} is not connected to the controller")
        elif worker.error is not None:
            reasons.append(f"worker {worker.worker} refused the routing: {worker.error}")
        elif worker.version != version:
            reasons.append(
                f"worker {worker.worker} routes by version {worker.version}, not {version}"
            )
    return Readiness(ready=not reasons, reasons=reasons)
