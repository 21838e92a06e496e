"""False alarms and power of the gate, in short; `loadtests.drift_honesty` is the long study.

Seeded: a figure changes only when the code does.
"""

import numpy as np
import pytest

from loadtests.honesty import false_alarms, power, traffic
from loadtests.honesty.power import Setting


def test_windows_of_independent_rows_do_not_alarm():
    found = false_alarms.study(false_alarms.INDEPENDENT, 25, np.random.default_rng(1))

    assert found.alarmed == 0
    assert found.by_reference["previous"].judged > 23
    # The same numbers would have alarmed by a rule of thumb.
    assert found.by_reference["previous"].by_threshold > 2


@pytest.mark.parametrize("name", ["repeated", "entities-5"])
def test_windows_of_dependent_rows_do_not_alarm_and_would_without_phi(name):
    kind = false_alarms.KINDS[name]

    found = false_alarms.study(kind, 10, np.random.default_rng(2), uncorrected=True)

    assert found.alarmed == 0
    assert found.uncorrected > 7


def test_entities_that_nobody_declared_are_not_seen_by_phi():
    found = false_alarms.study(false_alarms.UNDECLARED, 5, np.random.default_rng(3))

    assert np.median(found.phi) < 1.2
    assert found.alarmed > 2


@pytest.mark.parametrize("m", [1000, 50_000])
def test_a_psi_of_0_24_is_found_in_a_thousand_rows(m):
    found = power.study(Setting(0.24, 1000, m), 120, np.random.default_rng(4))

    assert found.found >= 0.95
    assert found.others == 0.0


def test_the_largest_psi_that_does_not_matter_is_rarely_called_drift():
    found = power.study(Setting(0.1, 5000, 5000), 100, np.random.default_rng(5))

    assert found.found <= 0.05


def test_setting_columns_aside_adds_power_where_windows_are_small():
    found = power.study(Setting(0.24, 1000, 1000), 120, np.random.default_rng(6))

    assert found.found > found.plain + 0.1


def test_many_small_shifts_are_found_together_and_trifles_are_not():
    rng = np.random.default_rng(7)

    assert power.compound(Setting(0.05, 5000, 50_000, shifted=10), 20, rng) > 0.9
    assert power.compound(Setting(0.02, 5000, 50_000, shifted=30), 30, rng) == 0.0


def test_simulated_shifts_have_the_psi_they_are_said_to_have():
    for psi in (0.05, 0.24, 1.0):
        shares = power.shares(psi)
        assert ((shares - 0.1) * np.log(shares / 0.1)).sum() == pytest.approx(psi, rel=1e-9)


@pytest.mark.parametrize(
    "process",
    [
        traffic.independent,
        traffic.repeated,
        traffic.bursts,
        traffic.sessions,
        traffic.autoregressive,
        traffic.entities(5),
        traffic.undeclared_entities,
    ],
)
def test_simulated_traffic_has_the_shares_it_is_said_to_have(process):
    rng = np.random.default_rng(8)
    counts = sum(process(rng, 20_000).sum(axis=0) for _ in range(3))

    flags = next(at for at, law in enumerate(traffic.LAWS) if len(law) == 2)
    shares = counts / counts.sum(axis=1, keepdims=True)
    assert shares[:, -1] == pytest.approx(np.full(30, traffic.MISSING), abs=0.03)
    assert shares[flags, :2] == pytest.approx([0.49, 0.49], abs=0.08)
