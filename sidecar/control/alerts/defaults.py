"""The rules of the house: what nearly everybody who serves models wants to hear of.

Each can be replaced by a rule of the same name, and all switched off by `alerts.defaults: false`.
"""

from __future__ import annotations

from sidecar.config.alerting import AlertSeverity, RuleSettings, Signal, Tier
from sidecar.config.units import Duration

_MINUTE = Duration(60)


def default_rules() -> tuple[RuleSettings, ...]:
    """All of them."""
    return (
        RuleSettings(
            name="errors",
            signal=Signal.ERROR_RATE,
            tiers=(
                Tier(
                    severity=AlertSeverity.WARNING,
                    above=0.05,
                    until=0.03,
                    for_=_MINUTE,
                    keep_firing_for=_MINUTE,
                ),
                Tier(
                    severity=AlertSeverity.CRITICAL,
                    above=0.25,
                    until=0.15,
                    for_=_MINUTE,
                    keep_firing_for=_MINUTE,
                ),
            ),
            summary="{labels.model} fails {value} of the requests of {labels.route}",
            description="{n} requests in {window}; the threshold is {threshold}.",
        ),
        RuleSettings(
            name="breaker-open",
            signal=Signal.BREAKER,
            tiers=(
                Tier(
                    severity=AlertSeverity.CRITICAL,
                    above=1,
                    for_=Duration(30),
                    keep_firing_for=_MINUTE,
                ),
            ),
            summary="{labels.model} is left alone: it failed again and again",
        ),
        RuleSettings(
            name="drift-major",
            signal=Signal.DRIFT,
            tiers=(Tier(severity=AlertSeverity.WARNING, above=1, keep_firing_for=Duration(600)),),
            summary="{labels.feature} of {labels.model} has drifted (major)",
            description="{n} rows in the window; `sidecar drift` shows the effect, its certainty "
            "and both windows.",
        ),
        RuleSettings(
            name="monitor-shedding",
            signal=Signal.SHED_SHARE,
            tiers=(Tier(severity=AlertSeverity.INFO, above=0.5, until=0.3, for_=Duration(600)),),
            summary="{value} of the bodies of {labels.route} are not read, to save time",
            description="Windows fill more slowly. Raise monitor.max_cpu_share, or add workers.",
        ),
        RuleSettings(
            name="unwatched",
            signal=Signal.UNWATCHED,
            tiers=(Tier(severity=AlertSeverity.WARNING, above=0, for_=Duration(300)),),
            summary="the payloads of {labels.model} on {labels.route} are not observed",
            description="Raise monitor.memory, or list fewer segments.",
        ),
        RuleSettings(
            name="dead-letters",
            signal=Signal.DEAD_LETTER_ARRIVALS,
            tiers=(
                Tier(severity=AlertSeverity.INFO, above=0),
                Tier(severity=AlertSeverity.WARNING, above=20),
            ),
            summary="{value} new dead letters ({labels.class}) in {window}",
            description="`sidecar dlq list` shows why; `sidecar dlq replay` sends them again.",
        ),
        RuleSettings(
            name="dead-letters-waiting",
            signal=Signal.DEAD_LETTER_AGE,
            tiers=(Tier(severity=AlertSeverity.WARNING, above=86_400),),
            summary="dead letters ({labels.class}) wait for more than a day",
            description="Replay them, or `sidecar dlq purge`. After dead_letters.max_age they go.",
        ),
    )
