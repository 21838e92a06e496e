"""A small, labelled world for the demo's models: who buys a dear car repays the loan.

And verdicts, as the sidecar would give them.
"""

import numpy as np
import pytest

from sidecar.demo.dataset import Loans
from sidecar.demo.verdicts import Comparison, Verdict, Watched

SALARIES = ("0 - 20K €", "20K - 40K €", "40K - 60K €", "60K+ €")
DOWNPAYMENTS = ("0%", "5%", "10%", "20%")


@pytest.fixture(scope="session")
def loans() -> Loans:
    rng = np.random.default_rng(1)
    rows = [
        {
            "car_value": float(rng.uniform(1_000, 90_000)),
            "salary_range": SALARIES[rng.integers(4)],
            "debt_to_income_ratio": float(rng.uniform()),
            "loan_length": float(rng.integers(3, 25)),
            "repaid_loan_on_prev_car": bool(rng.integers(2)),
            "size_of_downpayment": DOWNPAYMENTS[rng.integers(4)],
            "driver_tenure": float(rng.uniform(0, 7)),
        }
        for _ in range(600)
    ]
    return Loans(rows=tuple(rows), repaid=tuple(row["car_value"] > 40_000 for row in rows))


@pytest.fixture(scope="session")
def verdict():
    def make(feature, status="ok", psi=0.02, *, n=1800, p=0.5):
        return Verdict(feature=feature, status=status, psi=psi, p=p, n=n)

    return make


@pytest.fixture(scope="session")
def watched():
    def make(model, role, *verdicts, why=""):
        return Watched(
            model=model, role=role, comparisons=(Comparison(verdicts=verdicts, why=why),)
        )

    return make
