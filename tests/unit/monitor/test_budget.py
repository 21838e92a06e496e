"""The budget: its share is never exceeded for long, and what is left out is left out by chance."""

import random

import numpy as np
import pytest
from scipy.stats import chisquare

from sidecar.monitor.budget import BUCKET_NS, Budget, Draw

SECOND_NS = 1_000_000_000


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("cost_ns", [1_000, 20_000, 5_000_000])
def test_what_is_worked_stays_within_the_share_whatever_one_exchange_costs(share, cost_ns):
    budget = Budget(share, 0)
    worked = now = 0
    while now < 20 * SECOND_NS:
        now += 5_000_000
        count = min(budget.affordable(now), 1000)
        if count:
            worked += count * cost_ns
            budget.spend(count * cost_ns)
            budget.learn(count * cost_ns, count)
    first_guess_ns = 1000 * cost_ns  # before the cost was known
    assert worked <= share * (now + BUCKET_NS) + first_guess_ns
    if cost_ns == 20_000:
        assert worked >= 0.9 * min(share * now, now / 5_000_000 * 1000 * cost_ns)


def test_nothing_is_affordable_until_a_debt_is_paid_and_then_at_least_one():
    budget = Budget(0.1, 0)
    budget.spend(int(0.1 * BUCKET_NS) + 1_000_000)
    assert budget.affordable(0) == 0
    assert budget.affordable(9_000_000) == 0
    assert budget.affordable(10_100_000) == 1


def test_a_pause_does_not_save_up_more_than_a_bucket():
    budget = Budget(0.5, 0)
    budget.learn(20_000, 1)
    assert budget.affordable(3600 * SECOND_NS) == 0.5 * BUCKET_NS // 20_000


def test_exactly_as_many_are_drawn_as_were_wanted():
    rng = random.Random(3)
    for wanted, there in ((0, 10), (1, 10), (5, 10), (10, 10), (20, 10)):
        draw = Draw(wanted, there, rng.random)
        assert sum(draw.next() for _ in range(there)) == min(wanted, there)


def test_every_place_in_the_queue_is_drawn_as_often():
    rng = random.Random(5)
    drawn = np.zeros(20)
    for _ in range(5_000):
        draw = Draw(5, 20, rng.random)
        drawn += [draw.next() for _ in range(20)]
    assert chisquare(drawn).pvalue > 1e-4
