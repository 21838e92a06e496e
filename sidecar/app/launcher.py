"""The launcher: parent of all processes. No event loop, no threads, little code after the fork.

What the children share is made by `sidecar.app.preparation`; then this module forks the controller
and the workers and only waits for signals: deaths, which it answers with a restart, and orders,
which it passes on.

    SIGTERM, SIGINT   drain, then end; a second SIGINT ends at once
    SIGHUP            to the controller: reload
    SIGUSR1           from the controller: drain, and stay until SIGTERM (a preStop hook)

A drain first turns newcomers away and lets those who have begun to connect be accepted as always.
Then the launcher closes its copies of the listening sockets and has the workers drain: a socket is
gone when its last holder has closed it, and that is a worker with nothing left in the queue. The
controller outlives the workers, so that health and metrics can be read to the end.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from sidecar.app import logs
from sidecar.app.controller import new_salt, run_controller
from sidecar.app.preparation import prepare
from sidecar.app.process import DRAIN_SIGNAL, END_SIGNAL, OWNED_BY_LAUNCHER, ExitCode, fork
from sidecar.app.supervisor import Supervisor, was_usage_error
from sidecar.app.worker import run_worker
from sidecar.config.load import load
from sidecar.config.problems import Severity

# How long a handshake that has begun may take until its client is accepted. Beyond it a client may
# find its connection reset, as with servers that just close.
HANDSHAKE_S: Final = 0.25
# What a worker may take beyond drain.timeout to close what is left and write its last numbers.
GRACE_S: Final = 3.0

log: Final = logging.getLogger("sidecar.launcher")


class Phase(IntEnum):
    """What the launcher is doing; it only ever moves down this list."""

    RUNNING = 1
    CLOSING = 2  # newcomers are turned away
    DRAINING = 3  # workers finish what they have
    DRAINED = 4  # no worker is left; the controller shows it until we are told to end
    ENDING = 5  # the controller is told to end
    ENDED = 6


def run(config: Path, environ: Mapping[str, str]) -> int:
    """Run a sidecar to its end; returns the exit code. Raises ConfigError, LocalError."""
    # From here on a signal waits for the loop below: none is lost, none interrupts the preparation.
    signal.pthread_sigmask(signal.SIG_BLOCK, OWNED_BY_LAUNCHER)
    # A collection writes to every object it looks at, and so would copy pages that children share.
    gc.disable()
    loaded = load(config, environ)
    logs.configure(loaded.settings.log)
    for remark in loaded.remarks:
        if remark.severity is Severity.WARNING:
            log.warning("configuration: %s", remark)
    inherited = prepare(
        loaded.settings,
        load=lambda: load(config, environ).settings,
        environ=environ,
        salts=new_salt,
    )
    gc.collect()
    gc.freeze()  # children collect only what they make themselves
    launcher = Launcher(
        control=lambda *, draining: run_controller(inherited, draining=draining),
        work=lambda index: run_worker(inherited, index),
        workers=inherited.settings.workers,
        drain_timeout_s=inherited.settings.drain.timeout,
        turn_newcomers_away=inherited.turn_newcomers_away,
        stop_listening=inherited.close_data_listeners,
        clock=time.monotonic,
    )
    try:
        return launcher.run()
    finally:
        inherited.remove_unix_paths()


class Controlling(Protocol):
    """The main function of the controller process."""

    def __call__(self, *, draining: bool) -> int:
        """Run; `draining` says that a drain had begun when it was started (again)."""


class Launcher:
    """Looks after the processes of one sidecar; `clock` gives monotonic seconds.

    The signals of OWNED_BY_LAUNCHER must be blocked. `turn_newcomers_away` lets no client begin to
    connect any more, `stop_listening` closes this process's copies of the listening sockets.
    """

    def __init__(
        self,
        *,
        control: Controlling,
        work: Callable[[int], int],
        workers: int,
        drain_timeout_s: float,
        turn_newcomers_away: Callable[[], None],
        stop_listening: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._drain_timeout_s = drain_timeout_s
        self._turn_newcomers_away = turn_newcomers_away
        self._stop_listening = stop_listening
        self._clock = clock
        self._phase = Phase.RUNNING
        self._told_to_end = False
        self._close_at_s: float | None = None
        self._kill_at_s: float | None = None
        self._exit_code = ExitCode.DONE
        self._supervisor = Supervisor(fork)
        now_s = clock()
        self._controller = self._supervisor.add(
            "sidecar-control", lambda: control(draining=self._phase > Phase.RUNNING), now_s
        )
        self._workers = [
            self._supervisor.add(f"sidecar-work-{index}", partial(work, index), now_s)
            for index in range(workers)
        ]

    def run(self) -> int:
        """Wait and answer until every child has ended; returns the exit code."""
        while True:
            self._reap()
            self._supervisor.start_due(self._clock())
            self._advance()
            if self._phase is Phase.ENDED:
                log.info("has ended", extra={"exit_code": int(self._exit_code)})
                return self._exit_code
            received = signal.sigtimedwait(OWNED_BY_LAUNCHER, self._wait_s())
            if received is not None:
                self._obey(signal.Signals(received.si_signo))

    def _wait_s(self) -> float:
        """Until something is due; a day when nothing is (sigtimedwait has no "for ever")."""
        times = (self._supervisor.next_due_s(), self._close_at_s, self._kill_at_s)
        due = [time_s for time_s in times if time_s is not None]
        return max(min(due) - self._clock(), 0.0) if due else 86_400.0

    def _obey(self, number: signal.Signals) -> None:
        match number:
            case signal.SIGTERM | signal.SIGINT:
                if self._told_to_end and number is signal.SIGINT:
                    log.warning("told twice to end, does not wait for anybody")
                    self._hurry()
                self._told_to_end = True
                self._drain()
            case signal.SIGHUP:
                self._supervisor.signal(self._controller, signal.SIGHUP)
            case _ if number == DRAIN_SIGNAL:
                self._drain()
            case _:
                pass  # SIGCHLD: `run` reaps anyway, because several deaths may be one signal

    def _drain(self) -> None:
        if self._phase is not Phase.RUNNING:
            return
        self._phase = Phase.CLOSING
        log.info("drains", extra={"timeout_s": float(self._drain_timeout_s)})
        self._supervisor.signal(self._controller, DRAIN_SIGNAL)
        self._turn_newcomers_away()
        self._close_at_s = self._clock() + HANDSHAKE_S

    def _close(self) -> None:
        self._phase = Phase.DRAINING
        self._close_at_s = None
        self._stop_listening()
        for worker in self._workers:
            self._supervisor.dismiss(worker, END_SIGNAL)
        self._kill_at_s = self._clock() + self._drain_timeout_s + GRACE_S

    def _hurry(self) -> None:
        if self._phase is Phase.CLOSING:
            self._close()
        self._kill_at_s = self._clock()

    def _reap(self) -> None:
        """Take note of every death, also of orphans that a PID 1 inherits."""
        while True:
            try:
                pid, wait_status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._supervisor.died(pid, wait_status, self._clock())
            if child is not None and child.wanted and was_usage_error(wait_status):
                self._give_up(child.restarts)

    def _give_up(self, restarts: int) -> None:
        """A child cannot work with this configuration: at the first start that is the end."""
        if restarts or self._phase is not Phase.RUNNING:
            return
        log.error("gives up: the configuration cannot be served")
        self._exit_code = ExitCode.USAGE
        self._told_to_end = True
        self._drain()

    def _advance(self) -> None:
        if self._close_at_s is not None and self._clock() >= self._close_at_s:
            self._close()
        if self._kill_at_s is not None and self._clock() >= self._kill_at_s:
            self._kill_all()
        if self._phase is Phase.DRAINING and not any(w.pid for w in self._workers):
            self._phase = Phase.DRAINED
            self._kill_at_s = None
            log.info("is drained")
        if self._phase is Phase.DRAINED and self._told_to_end:
            self._phase = Phase.ENDING
            self._supervisor.dismiss(self._controller, END_SIGNAL)
            self._kill_at_s = self._clock() + GRACE_S
        if self._phase is Phase.ENDING and self._controller.pid is None:
            self._phase = Phase.ENDED

    def _kill_all(self) -> None:
        """The deadline is over: end whoever is left of those that were told to."""
        self._kill_at_s = None
        for child in self._supervisor.children:
            if child.pid is not None and not child.wanted:
                log.error(
                    "%s did not end in time and is killed", child.name, extra={"pid": child.pid}
                )
                self._supervisor.signal(child, signal.SIGKILL)
                self._exit_code = ExitCode.NO
