"""What tests of baselines share: a small data set with every kind of column."""

import numpy as np
import pytest

from sidecar.baseline import learn
from sidecar.baseline.roles import Roles

ROLES = Roles(prediction="answer", score="probability", segments=("region",), ignore=("region",))


@pytest.fixture(scope="session")
def columns():
    """1,000 rows: numbers with gaps, codes, texts, truths, answers and their probabilities."""
    rng = np.random.default_rng(7)
    n = 1000
    income = rng.lognormal(10.0, 0.7, n)
    income[rng.random(n) < 0.05] = np.nan
    income[3] = np.inf
    probability = rng.random(n)
    return {
        "income": income,
        "rooms": rng.integers(1, 7, n).astype(float),
        "city": [("Bonn", "Köln", "Trier", None)[place] for place in rng.integers(0, 4, n)],
        "owner": [bool(value) for value in rng.integers(0, 2, n)],
        "region": [("north", "south", "west")[place] for place in rng.integers(0, 3, n)],
        "answer": ["yes" if value > 0.5 else "no" for value in probability],
        "probability": probability,
    }


@pytest.fixture(scope="session")
def baseline(columns):
    """What is learned of them."""
    return learn("stable", columns, ROLES)
