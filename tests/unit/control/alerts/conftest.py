"""Policies from rules as they are written, samples as they are exposed, and a clock of our own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from sidecar.config.alerting import (
    AlertSettings,
    AlertSeverity,
    ReceiverSettings,
    ReceiverType,
    RuleSettings,
    Tier,
)
from sidecar.config.units import Duration
from sidecar.control.alerts.policy import Policy

WARNING = AlertSeverity.WARNING
S = 1_000_000_000
START_NS = 1_700_000_000 * S


@dataclass(frozen=True)
class Reported:
    """A sample as a collector gives it."""

    name: str
    labels: Mapping[str, str]
    value: float


@pytest.fixture
def sample() -> Callable[..., Reported]:
    """Make `sample("name", 3.0, label="value")`."""
    return lambda name, value, **labels: Reported(name, labels, float(value))


@pytest.fixture
def rule() -> Callable[..., RuleSettings]:
    """A rule with one warning tier above 10, unless said otherwise, over a gauge `sidecar_x`."""

    def rule(name: str = "r", *tiers: Tier, **keys) -> RuleSettings:
        if not {"signal", "series", "ratio"} & set(keys):
            keys["series"] = "sidecar_x"
        return RuleSettings(name=name, tiers=tiers or (Tier(severity=WARNING, above=10),), **keys)

    return rule


@pytest.fixture
def policy() -> Callable[..., Policy]:
    """A policy of these rules without the defaults; receivers by name and type."""

    def policy(*rules: RuleSettings, receivers: Mapping[str, str] | None = None, **keys) -> Policy:
        made = {
            name: ReceiverSettings(type=ReceiverType(kind), url="http://127.0.0.1:1/")
            for name, kind in (receivers or {"ops": "webhook"}).items()
        }
        usual = {
            "interval": Duration(15),
            "group_wait": Duration(0),
            "group_interval": Duration(60),
            "repeat": Duration(3600),
        }
        return Policy.of(
            AlertSettings(rules=rules, receivers=made, defaults=False, **{**usual, **keys})
        )

    return policy
