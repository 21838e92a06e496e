"""Patience: waits that grow, spread by chance; a circuit that lets one record through."""

import pytest

from sidecar.delivery import Circuit, CircuitState, RetryPolicy
from sidecar.delivery.retries import LONGEST_RETRY_AFTER_S


@pytest.mark.parametrize(
    ("failures", "longest_s"), [(1, 0.2), (2, 0.4), (5, 3.2), (8, 25.6), (9, 30.0), (10_000, 30.0)]
)
def test_waits_double_up_to_the_longest(failures, longest_s):
    policy = RetryPolicy(first_s=0.2, longest_s=30.0)
    assert policy.wait_s(failures, 1.0) == pytest.approx(longest_s)


def test_chance_spreads_a_wait_over_its_second_half():
    policy = RetryPolicy(first_s=8.0)
    assert policy.wait_s(1, 0.0) == 4.0
    assert 7.9 < policy.wait_s(1, 0.999) < 8.0


def test_a_sink_that_asks_for_more_patience_gets_it_but_not_without_end():
    policy = RetryPolicy(first_s=0.2)
    assert policy.wait_s(1, 0.0, asked_s=45.0) == 45.0
    assert policy.wait_s(1, 0.0, asked_s=1e9) == LONGEST_RETRY_AFTER_S
    assert policy.wait_s(9, 0.0, asked_s=1.0) == 15.0


def test_the_circuit_opens_after_failures_in_a_row_and_says_so_once():
    circuit = Circuit(failures_that_open=3)
    assert [circuit.failed() for _ in range(4)] == [False, False, True, False]
    assert (circuit.state, circuit.opened) == (CircuitState.OPEN, 1)


def test_an_answer_between_failures_keeps_the_circuit_closed():
    circuit = Circuit(failures_that_open=2)
    for _ in range(10):
        circuit.failed()
        circuit.answered()
    assert circuit.state is CircuitState.CLOSED


def test_a_probe_that_fails_opens_it_again_and_one_that_is_answered_closes_it():
    circuit = Circuit(failures_that_open=1)
    circuit.failed()
    circuit.waited()
    assert circuit.state is CircuitState.HALF_OPEN
    assert not circuit.failed()
    assert circuit.state is CircuitState.OPEN
    circuit.waited()
    assert circuit.answered()
    assert (circuit.state, circuit.failures) == (CircuitState.CLOSED, 0)
