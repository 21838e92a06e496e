"""The breaker beside a model of it that is too simple to be wrong: a list of all that happened."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sidecar.proxy.breaker import Breaker, BreakerState


def opened(*, threshold: int = 3, now: float = 0.0) -> Breaker:
    breaker = Breaker(threshold=threshold, open_for_s=2.0)
    outcomes = [breaker.failed(now) for _ in range(threshold)]
    assert outcomes == [False] * (threshold - 1) + [True]
    return breaker


def test_failures_in_a_row_open_it():
    breaker = opened()
    assert breaker.state is BreakerState.OPEN
    assert not breaker.allows(1.999)


def test_a_success_in_between_begins_the_count_anew():
    breaker = Breaker(threshold=3, open_for_s=2.0)
    for _ in range(10):
        assert not breaker.failed(0.0)
        assert not breaker.failed(0.0)
        breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED


def test_one_probe_at_a_time_may_pass_when_it_has_been_open_long_enough():
    breaker = opened()
    assert [breaker.allows(2.0), breaker.allows(2.0), breaker.allows(3.9)] == [True, False, False]
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.allows(4.0)  # the first probe told nothing: another may


def test_a_probe_that_is_answered_closes_it():
    breaker = opened()
    breaker.allows(2.0)
    breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED
    assert [breaker.allows(2.0) for _ in range(3)] == [True] * 3
    assert breaker.failures == 0


def test_a_probe_that_fails_opens_it_for_the_whole_time_again():
    breaker = opened()
    breaker.allows(2.0)
    assert breaker.failed(2.5)
    assert breaker.state is BreakerState.OPEN
    assert not breaker.allows(4.4)
    assert breaker.allows(4.5)


def test_failures_of_requests_that_were_under_way_do_not_prolong_it():
    breaker = opened()
    assert not breaker.failed(1.9)
    assert breaker.allows(2.0)


def test_a_threshold_of_zero_switches_it_off():
    breaker = Breaker(threshold=0, open_for_s=2.0)
    assert not any(breaker.failed(0.0) for _ in range(1000))
    assert breaker.allows(0.0)


@pytest.mark.parametrize("threshold", [1, 2, 50])
def test_any_threshold_is_met_exactly(threshold):
    opened(threshold=threshold)


class BreakerMachine(RuleBasedStateMachine):
    """What must hold whatever happens: judged from the history alone."""

    @initialize(threshold=st.integers(1, 4))
    def begin(self, threshold):
        self.threshold = threshold
        self.breaker = Breaker(threshold=threshold, open_for_s=2.0)
        self.now = 0.0
        self.in_a_row = 0  # failures since the last success
        self.shut_at = None  # when it last opened; None: closed
        self.passed_at = None  # when a probe last passed

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 2.0, 5.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def a_request_comes(self):
        waited = (
            self.shut_at is None
            or self.now
            >= max(self.shut_at, -1.0 if self.passed_at is None else self.passed_at) + 2.0
        )
        assert self.breaker.allows(self.now) == waited
        if waited and self.shut_at is not None:
            self.passed_at = self.now

    @rule()
    def an_answer_comes(self):
        self.breaker.succeeded()
        self.in_a_row = 0
        self.shut_at = self.passed_at = None

    @rule()
    def a_request_fails(self):
        self.in_a_row += 1
        probing = self.passed_at is not None
        opens = probing if self.shut_at is not None else self.in_a_row >= self.threshold
        assert self.breaker.failed(self.now) == opens
        if opens:
            self.shut_at = self.now
            self.passed_at = None

    @invariant()
    @precondition(lambda self: hasattr(self, "breaker"))
    def the_state_tells_the_history(self):
        if self.shut_at is None:
            assert self.breaker.state is BreakerState.CLOSED
        elif self.passed_at is None:
            assert self.breaker.state is BreakerState.OPEN
        else:
            assert self.breaker.state is BreakerState.HALF_OPEN
        assert self.breaker.failures == self.in_a_row


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=60, stateful_step_count=30)
