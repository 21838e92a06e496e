"""Rules on one line, as the API shows them."""

import pytest

from sidecar.admin.alerts_views import in_words
from sidecar.config.alerting import (
    AlertSettings,
    AlertSeverity,
    QuantileReading,
    RatioReading,
    RuleSettings,
    SeriesSelection,
    Signal,
    Tier,
)
from sidecar.config.units import Duration
from sidecar.control.alerts import Policy

WHERE = {"route": "iris", "model": ("a", "b")}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"signal": Signal.BREAKER}, "breaker by (model)"),
        (
            {"signal": Signal.ERROR_RATE, "window": Duration(3600), "by": ("route",)},
            "error_rate(1h) by (route)",
        ),
        ({"series": "sidecar_connections"}, "sidecar_connections"),
        ({"series": "sidecar_x", "where": WHERE}, "sidecar_x{route: iris, model: [a, b]}"),
        ({"series": "sidecar_x", "increase": Duration(300)}, "increase(sidecar_x, 5m)"),
        (
            {"series": "sidecar_x", "rate": Duration(300), "by": ()},
            "rate(sidecar_x, 5m) by ()",
        ),
        (
            {"series": "sidecar_x", "quantile": QuantileReading(q=0.95)},
            "quantile(0.95, sidecar_x, 5m)",
        ),
        (
            {
                "ratio": RatioReading(
                    of=SeriesSelection(series="sidecar_a", where={"status": "5xx"}),
                    to=SeriesSelection(series="sidecar_b"),
                ),
                "by": ("route", "model"),
            },
            "ratio(sidecar_a{status: 5xx}, sidecar_b, 5m) by (route, model)",
        ),
    ],
)
def test_what_a_rule_reads_in_words(keys, words):
    tier = Tier(severity=AlertSeverity.WARNING, above=1.0)
    rule = RuleSettings(name="r", tiers=(tier,), **keys)

    policy = Policy.of(AlertSettings(rules=(rule,), defaults=False))

    assert in_words(policy.rules[0]) == words
