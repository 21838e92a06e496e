"""What the API shows, built from the routing state and a snapshot of the board. Pure.

Every figure of latency comes with the number of exchanges it rests on; counters run since the start
of the launcher (the board is allocated anew then).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from sidecar.admin.observation_views import ObservationView
from sidecar.admin.readiness import Readiness
from sidecar.board import CellCounter, ModelGauge, Snapshot, WorkerGauge
from sidecar.config.settings import Match, Sticky
from sidecar.control.plane import ChangeReport
from sidecar.control.state import Override, RoutingState
from sidecar.control.workers import WorkerStatus
from sidecar.model import CellKey, Role, ShadowOutcome, StatusClass

BREAKER_STATES = ("closed", "half_open", "open")
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class WorkerView(Struct, frozen=True, kw_only=True):
    """One worker: its link to the controller and its load.

    `observing` is the version of the plan it observes by; `observing_error` why it refused one.
    """

    worker: int
    pid: int | None
    connected: bool
    version: int | None
    error: str | None
    in_flight: int
    connections: int
    accepted: int
    observing: int | None
    observing_error: str | None


class ModelView(Struct, frozen=True, kw_only=True):
    """One model, all workers together."""

    model: str
    endpoints: tuple[str, ...]
    breaker: str
    connections: int
    idle: int
    waiting: int


class StatusView(Struct, frozen=True, kw_only=True):
    """The whole sidecar at a glance."""

    sidecar: str
    uptime_s: float
    ready: bool
    reasons: list[str]
    draining: bool
    routing_version: int
    persisted: bool
    overrides: list[Override]
    workers: list[WorkerView]
    models: list[ModelView]
    observation: ObservationView | None = None


class LatencyView(Struct, frozen=True, kw_only=True):
    """Quantiles of the total duration over `n` exchanges; None when there were none."""

    n: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class TargetView(Struct, frozen=True, kw_only=True):
    """A model in its role on a route. `percent` of the clients, or of the copies for a shadow."""

    model: str
    role: Role
    percent: float
    requests: dict[str, int]
    latency: LatencyView


class RouteView(Struct, frozen=True, kw_only=True):
    """A route as it works now."""

    name: str
    match: Match
    sticky: Sticky | None
    targets: list[TargetView]


class WeightsView(Struct, frozen=True, kw_only=True):
    """A route's percentages now, and where the file says otherwise."""

    weights: dict[str, float]
    file: dict[str, float]
    overridden: bool


class AcknowledgementView(Struct, frozen=True, kw_only=True):
    """Which workers route by the new version; see `InstallReport`."""

    acknowledged: tuple[int, ...]
    missing: tuple[int, ...]
    absent: tuple[int, ...]
    refused: dict[str, str]


class ChangeView(Struct, frozen=True, kw_only=True):
    """What a changing call did; `duration_ms` is until the last worker had acknowledged."""

    version: int
    duration_ms: float
    workers: AcknowledgementView
    persisted: bool
    weights: dict[str, dict[str, float]]
    overrides: list[Override]
    needs_restart: list[str]


def status_view(
    state: RoutingState,
    snapshot: Snapshot,
    workers: Sequence[WorkerStatus],
    readiness: Readiness,
    *,
    sidecar: str,
    uptime_s: float,
    draining: bool,
    persisted: bool,
    observation: ObservationView | None = None,
) -> StatusView:
    """The answer of `/api/v1/status`."""
    return StatusView(
        sidecar=sidecar,
        uptime_s=round(uptime_s, 3),
        ready=readiness.ready,
        reasons=readiness.reasons,
        draining=draining,
        routing_version=state.version,
        persisted=persisted,
        overrides=state.overridden(),
        workers=[_worker(worker, snapshot) for worker in workers],
        models=[_model(name, state, snapshot) for name in state.models],
        observation=observation,
    )


def routes_view(state: RoutingState, snapshot: Snapshot) -> list[RouteView]:
    """The answer of `/api/v1/routes`, in the order in which routes are tried."""
    cells = {key: cell for cell, key in enumerate(state.cells.keys) if key is not None}
    views = []
    for route in state.routes:
        percents = state.percents(route.name)
        seats = [
            (model, Role.CANARY if place else Role.PRIMARY, percents[model])
            for place, model in enumerate(percents)
        ]
        seats += [(shadow.model, Role.SHADOW, 100 * shadow.sample) for shadow in route.shadows]
        views.append(
            RouteView(
                name=route.name,
                match=route.match,
                sticky=route.sticky,
                targets=[
                    _target(
                        model,
                        role,
                        percent,
                        cells[CellKey(route=route.name, model=model, role=role)],
                        snapshot,
                    )
                    for model, role, percent in seats
                ],
            )
        )
    return views


def weights_view(state: RoutingState) -> dict[str, WeightsView]:
    """The answer of `/api/v1/weights`, by route."""
    return {
        route.name: WeightsView(
            weights=state.percents(route.name),
            file={canary.model: canary.percent for canary in route.canaries},
            overridden=route.name in state.overrides,
        )
        for route in state.routes
    }


def change_view(state: RoutingState, report: ChangeReport) -> ChangeView:
    """The answer of every changing call."""
    install = report.install
    return ChangeView(
        version=install.version,
        duration_ms=round(install.duration_s * 1000, 3),
        workers=AcknowledgementView(
            acknowledged=install.acknowledged,
            missing=install.missing,
            absent=install.absent,
            refused={str(worker): why for worker, why in install.refused.items()},
        ),
        persisted=report.persisted,
        weights={route.name: state.percents(route.name) for route in state.routes},
        overrides=report.overrides,
        needs_restart=report.needs_restart,
    )


def _worker(worker: WorkerStatus, snapshot: Snapshot) -> WorkerView:
    gauges = snapshot.workers[worker.worker]
    return WorkerView(
        worker=worker.worker,
        pid=worker.pid,
        connected=worker.connected,
        version=worker.version,
        error=worker.error,
        in_flight=int(gauges[WorkerGauge.IN_FLIGHT]),
        connections=int(gauges[WorkerGauge.CONNECTIONS]),
        accepted=int(gauges[WorkerGauge.ACCEPTED]),
        observing=worker.observing,
        observing_error=worker.observing_error,
    )


def _model(name: str, state: RoutingState, snapshot: Snapshot) -> ModelView:
    row = state.model_rows.keys.index(name)
    worst = int(snapshot.models[:, row, ModelGauge.BREAKER].max())
    return ModelView(
        model=name,
        endpoints=state.models[name].endpoints,
        breaker=BREAKER_STATES[worst],
        connections=snapshot.model_sum(row, ModelGauge.CONNECTIONS),
        idle=snapshot.model_sum(row, ModelGauge.IDLE),
        waiting=snapshot.model_sum(row, ModelGauge.WAITERS),
    )


def _target(model: str, role: Role, percent: float, cell: int, snapshot: Snapshot) -> TargetView:
    ends: dict[str, int] = {}
    if role is Role.SHADOW:
        for outcome in ShadowOutcome:
            ends[outcome.value] = snapshot.counter(cell, CellCounter.of_shadow(outcome))
    else:
        for status in StatusClass:
            ends[status.value] = snapshot.counter(cell, CellCounter.of_status(status))
    histogram = snapshot.histogram(cell, "total")
    found = {name: histogram.quantile(q) for name, q in QUANTILES.items()}
    in_ms = {
        f"{name}_ms": None if value is None else round(value.estimate / 1e6, 4)
        for name, value in found.items()
    }
    return TargetView(
        model=model,
        role=role,
        percent=round(percent, 4),
        requests={end: n for end, n in ends.items() if n},
        latency=LatencyView(n=histogram.count, **in_ms),
    )
