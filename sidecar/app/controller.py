"""The main function of the controller process: control socket, admin API, persistence, observing.

It may die at any time: workers go on, the launcher starts it again, and it resumes from the
persisted state. Its listening sockets are the launcher's, so callers wait through a restart instead
of failing.

    SIGHUP   reload the configuration       SIGUSR1   the launcher drains
    SIGUSR2  end (the workers are gone)
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import uvloop
from aiohttp import web

import sidecar
from sidecar.admin.alerts_api import AlertCalls
from sidecar.admin.alerts_metrics import AlertMetrics
from sidecar.admin.api import Admin
from sidecar.admin.delivery_metrics import DeliveryMetrics
from sidecar.admin.dlq_api import DeadLetterCalls
from sidecar.admin.drift_api import DriftCalls
from sidecar.admin.drift_metrics import DriftMetrics
from sidecar.admin.exposition import Exposition
from sidecar.admin.guard import TokenSource
from sidecar.admin.log_api import LogCalls
from sidecar.admin.observation_api import ObservationCalls
from sidecar.admin.observation_metrics import ObservationMetrics
from sidecar.admin.observation_views import observation_view
from sidecar.admin.records_metrics import RecordsMetrics
from sidecar.admin.token import TokenFile
from sidecar.app.inheritance import Inheritance
from sidecar.app.process import DRAIN_SIGNAL, END_SIGNAL, ExitCode, accept_signals
from sidecar.app.recovery import newest_state
from sidecar.config.settings import Settings
from sidecar.control.alerts import AlertFiles, AlertWatch, SampleSource
from sidecar.control.drain import Drain
from sidecar.control.drift import DriftWatch
from sidecar.control.observation import Clocks, Observer, Places, Wanted
from sidecar.control.persistence import StateFile
from sidecar.control.plane import ControlPlane
from sidecar.control.recording import Clocks as RecordingClocks
from sidecar.control.recording import Recording
from sidecar.control.state import RoutingState
from sidecar.control.workers import WorkerControl
from sidecar.errors import SidecarError

# An admin call that is being answered while the controller ends.
CLOSE_TIMEOUT_S: Final = 1.0
SALT_BYTES: Final = 8

log: Final = logging.getLogger("sidecar.control")


def new_salt() -> str:
    """A salt for a split: who goes first in a rollout shall not be guessed or repeated."""
    return secrets.token_hex(SALT_BYTES)


def run_controller(inherited: Inheritance, *, draining: bool) -> int:
    """Control until told to end; returns the process's exit code."""
    inherited.state_dir.close()
    inherited.close_data_listeners()
    return uvloop.run(_control(inherited, draining=draining))


async def _control(inherited: Inheritance, *, draining: bool) -> int:
    state = newest_state(inherited)
    workers = WorkerControl(
        state.update(), expected=inherited.settings.workers, clock=time.monotonic
    )
    plane = ControlPlane(
        state,
        running=inherited.settings,
        store=StateFile(inherited.state_dir.routing_file),
        workers=workers,
        load=inherited.load,
        salts=new_salt,
        reloaded=lambda settings: _reloaded(settings, observer, alerts, recording),
    )
    observer = _observer(inherited, state, workers)
    drift = DriftWatch(observer, monotonic_s=time.monotonic)
    observer.after_snapshot.append(drift.after_snapshot)
    # Alerts read what the exposition shows, and are shown in it: each is asked when both are there.
    alerts = _alerts(inherited, lambda names: exposition.samples(names))  # noqa: PLW0108
    recording = _recording(inherited, plane)
    exposition = _exposition(inherited, plane, observer, drift, alerts, recording)
    launcher = os.getppid()
    drain = Drain(lambda: os.kill(launcher, DRAIN_SIGNAL), begun=draining)
    stop, reload = asyncio.Event(), asyncio.Event()
    _on_signals({END_SIGNAL: stop.set, signal.SIGHUP: reload.set, DRAIN_SIGNAL: drain.noticed})

    if recording is not None:
        await recording.open()
    await workers.start(inherited.control_listener)
    runner = web.AppRunner(
        _admin(
            inherited, plane, drain, observer, drift, alerts, exposition, recording
        ).application(),
        access_log=None,
        shutdown_timeout=CLOSE_TIMEOUT_S,
    )
    await runner.setup()
    for listener in inherited.admin_listeners:
        await web.SockSite(runner, listener).start()
    log.info("controls", extra={"version": state.version, "workers": workers.expected})
    try:
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(plane.keep_writing(), name="persist"),
                tasks.create_task(_reload_when_told(plane, reload), name="reload"),
                tasks.create_task(observer.run(), name="observe"),
                tasks.create_task(alerts.run(), name="alerts"),
            ]
            if recording is not None:
                background.append(tasks.create_task(recording.run(), name="record"))
            await stop.wait()
            for task in background:
                task.cancel()
        await observer.close()
    finally:
        await runner.cleanup()
        workers.close()
    return ExitCode.DONE


def _observer(inherited: Inheritance, state: RoutingState, workers: WorkerControl) -> Observer:
    """The observer of the routes that hold now, which a reload may have changed since the start."""
    settings, state_dir = inherited.settings, inherited.state_dir
    return Observer(
        Wanted(
            routes=state.routes,
            models=state.models,
            monitor=settings.monitor,
            drift=settings.drift,
        ),
        board=inherited.board,
        board_id=inherited.board_id,
        workers=workers,
        places=Places(
            memory=state_dir.observation_file,
            lessons=state_dir.provisional,
            snapshots=state_dir.snapshots,
        ),
        clocks=Clocks(wall_ns=time.time_ns, monotonic_ns=time.monotonic_ns),
        salts=new_salt,
    )


def _alerts(inherited: Inheritance, samples: SampleSource) -> AlertWatch:
    return AlertWatch(
        inherited.settings.alerts,
        launch=inherited.board_id,
        samples=samples,
        files=AlertFiles(inherited.state_dir.path),
        wall_ns=time.time_ns,
        monotonic_ns=time.monotonic_ns,
        environ=os.environ,
        ids=new_salt,
        chance=random.random,
    )


def _recording(inherited: Inheritance, plane: ControlPlane) -> Recording | None:
    """What reads the journal; None when nothing is recorded."""
    if not inherited.settings.journal.enabled:
        return None
    return Recording(
        inherited.settings,
        launch=inherited.board_id,
        board=inherited.board,
        cells=lambda: plane.routing.cells,
        environ=os.environ,
        clocks=RecordingClocks(wall_ns=time.time_ns, monotonic_ns=time.monotonic_ns),
        ids=new_salt,
        redaction_key=inherited.redaction_key,
    )


def _reloaded(
    settings: Settings, observer: Observer, alerts: AlertWatch, recording: Recording | None
) -> None:
    observer.want(Wanted.of(settings))
    alerts.reconfigure(settings.alerts)
    if recording is not None:
        recording.reconfigure(settings)


def _exposition(
    inherited: Inheritance,
    plane: ControlPlane,
    observer: Observer,
    drift: DriftWatch,
    alerts: AlertWatch,
    recording: Recording | None,
) -> Exposition:
    recorded = (
        []
        if recording is None
        else [RecordsMetrics(recording), DeliveryMetrics(recording, time.time_ns)]
    )
    return Exposition(
        snapshot=inherited.board.snapshot,
        routing=lambda: plane.routing,
        processes=lambda: _processes(plane),
        buckets_s=inherited.settings.metrics.buckets,
        version=sidecar.__version__,
        further=[
            ObservationMetrics(observer),
            DriftMetrics(lambda: drift.round),
            AlertMetrics(alerts),
            *recorded,
        ],
    )


def _admin(
    inherited: Inheritance,
    plane: ControlPlane,
    drain: Drain,
    observer: Observer,
    drift: DriftWatch,
    alerts: AlertWatch,
    exposition: Exposition,
    recording: Recording | None,
) -> Admin:
    token_file = inherited.settings.admin.token_file
    token_source = TokenFile(Path(token_file)) if token_file else lambda: None
    return Admin(
        plane=plane,
        drain=drain,
        snapshot=inherited.board.snapshot,
        render_metrics=exposition.render,
        observe_rollback_s=exposition.observe_rollback,
        token_source=token_source,
        uptime_s=lambda: time.monotonic() - inherited.started_s,
        version=sidecar.__version__,
        observation=lambda: observation_view(observer),
        further=[
            *ObservationCalls(observer).routes(),
            *DriftCalls(drift).routes(),
            *AlertCalls(alerts, time.time_ns).routes(),
            *_recording_calls(recording, token_source),
        ],
    )


def _recording_calls(
    recording: Recording | None, token_source: TokenSource
) -> Sequence[web.RouteDef]:
    if recording is None:
        return ()
    return (
        *LogCalls(recording, token_source).routes(),
        *DeadLetterCalls(
            recording.dead_letters, recording.replayer, token_source, time.time_ns
        ).routes(),
    )


def _processes(plane: ControlPlane) -> dict[str, int]:
    """Process ids by name; a worker that is not connected has none that we could trust."""
    workers = {
        f"worker-{worker.worker}": worker.pid
        for worker in plane.workers.status()
        if worker.pid is not None
    }
    return {"launcher": os.getppid(), "controller": os.getpid(), **workers}


def _on_signals(handlers: dict[signal.Signals, Callable[[], None]]) -> None:
    loop = asyncio.get_running_loop()
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    accept_signals()


async def _reload_when_told(plane: ControlPlane, told: asyncio.Event) -> None:
    """Reload at each SIGHUP; several that arrive during one reload are one."""
    while True:
        await told.wait()
        told.clear()
        try:
            await plane.reload()
        except SidecarError as error:
            log.error(  # noqa: TRY400 - foreseen; the reason says it all
                "kept the configuration: the file cannot be used", extra={"reason": str(error)}
            )
