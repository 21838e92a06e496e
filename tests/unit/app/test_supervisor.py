"""Children that are restarted: the back-off, as a table of deaths and times."""

from __future__ import annotations

import logging
import signal

import pytest

from sidecar.app.supervisor import Supervisor, describe, was_usage_error

KILLED = int(signal.SIGKILL)  # as a wait status: ended by this signal
EXIT_0 = 0
EXIT_1 = 1 << 8
EXIT_2 = 2 << 8


class Forks:
    """Hands out pids and remembers whom it started when."""

    def __init__(self) -> None:
        self.pids: list[int] = []

    def __call__(self, _name, _main) -> int:
        self.pids.append(1000 + len(self.pids))
        return self.pids[-1]


@pytest.fixture
def forks() -> Forks:
    return Forks()


@pytest.fixture
def supervisor(forks) -> Supervisor:
    return Supervisor(forks)


def restart_delays(supervisor, lives_s: list[float]) -> list[float]:
    """The delay after each of several lives of one child."""
    now_s = 0.0
    child = supervisor.add("worker", lambda: 0, now_s)
    delays = []
    for life_s in lives_s:
        now_s += life_s
        supervisor.died(child.pid, KILLED, now_s)
        delays.append(round(child.due_s - now_s, 3))
        now_s = child.due_s
        supervisor.start_due(now_s)
    return delays


def test_each_death_doubles_the_delay_up_to_five_seconds(supervisor):
    assert restart_delays(supervisor, [2.0] * 8) == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_ten_seconds_of_life_earn_a_fresh_back_off(supervisor):
    assert restart_delays(supervisor, [1, 1, 1, 10.0, 1]) == [0.1, 0.2, 0.4, 0.1, 0.2]


def test_nothing_is_started_before_it_is_due(supervisor, forks):
    child = supervisor.add("worker", lambda: 0, 0.0)
    supervisor.died(child.pid, KILLED, 5.0)
    supervisor.start_due(5.05)
    assert len(forks.pids) == 1
    assert supervisor.next_due_s() == pytest.approx(5.1)
    supervisor.start_due(5.1)
    assert len(forks.pids) == 2
    assert supervisor.next_due_s() is None


def test_a_process_that_was_never_ours_is_ignored(supervisor):
    supervisor.add("worker", lambda: 0, 0.0)
    assert supervisor.died(4711, EXIT_1, 1.0) is None
    assert supervisor.next_due_s() is None


def test_a_dismissed_child_is_told_and_not_started_again(supervisor, forks, monkeypatch):
    sent = []
    monkeypatch.setattr("os.kill", lambda pid, number: sent.append((pid, number)))
    child = supervisor.add("worker", lambda: 0, 0.0)
    supervisor.dismiss(child, signal.SIGTERM)
    assert sent == [(1000, signal.SIGTERM)]
    supervisor.died(1000, EXIT_0, 1.0)
    supervisor.start_due(100.0)
    assert len(forks.pids) == 1


def test_a_child_dismissed_between_two_lives_does_not_come_back(supervisor, forks):
    child = supervisor.add("worker", lambda: 0, 0.0)
    supervisor.died(child.pid, KILLED, 1.0)
    supervisor.dismiss(child, signal.SIGTERM)  # nobody there to signal
    supervisor.start_due(100.0)
    assert len(forks.pids) == 1


def test_every_third_quick_death_is_said_louder(supervisor, caplog):
    with caplog.at_level(logging.ERROR, "sidecar.launcher"):
        restart_delays(supervisor, [0.5] * 3)
    assert [("within a second" in record.message) for record in caplog.records] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("status", "text", "usage"),
    [(EXIT_0, "exit 0", False), (EXIT_2, "exit 2", True), (KILLED, "SIGKILL", False)],
)
def test_a_wait_status_is_described(status, text, usage):
    assert describe(status) == text
    assert was_usage_error(status) is usage
