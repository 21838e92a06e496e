"""The configuration of alerts, compiled: what the pure core works by.

Everything optional is decided here: default rules are added, signals are written out, tiers know
their receivers and which direction is worse, every receiver its pace.
"""

from __future__ import annotations

from typing import Final, Self

from msgspec import Struct

from sidecar.config.alerting import (
    AlertSettings,
    AlertSeverity,
    ReceiverSettings,
    ReceiverType,
    Relation,
    RuleSettings,
    Signal,
    Tier,
)
from sidecar.config.signals import Read, Reading, reading_of
from sidecar.control.alerts.defaults import default_rules
from sidecar.control.alerts.lifecycle import Timing
from sidecar.control.alerts.windows import HISTOGRAM_SUFFIX, NS_PER_S

LOG_RECEIVER: Final = "log"
RESEND_NS: Final = 60 * NS_PER_S
"""How often an Alertmanager hears that an alert still fires; see `KEPT_ALIVE_NS`."""

KEPT_ALIVE_NS: Final = 4 * RESEND_NS
"""For how long it believes so: three of four messages may be lost (Prometheus has the same 4)."""

GIVE_UP_NS: Final = 600 * NS_PER_S
"""How long a message is tried before it is made anew, of what is the case then."""


class TierPolicy(Struct, frozen=True, kw_only=True):
    """A threshold: `sign` is 1 when larger figures are worse, -1 when smaller ones are."""

    severity: AlertSeverity
    sign: int
    threshold: float
    until: float
    timing: Timing
    receivers: tuple[str, ...]

    def met_by(self, compared: float, *, fires: bool) -> bool:
        """Whether a figure is beyond the threshold; of an alert that fires, beyond `until`."""
        return self.sign * compared > self.sign * (self.until if fires else self.threshold)


class RulePolicy(Struct, frozen=True, kw_only=True):
    """A rule. `relation` is what changes are relative to, None when values are compared."""

    name: str
    signal: Signal | None
    reading: Reading
    relation: Relation | None
    tiers: tuple[TierPolicy, ...]
    summary: str | None
    description: str | None
    runbook_url: str | None
    labels: dict[str, str]
    is_default: bool

    @property
    def sign(self) -> int:
        """Which direction is worse; the same for all tiers."""
        return self.tiers[0].sign

    def tier(self, severity: AlertSeverity) -> TierPolicy | None:
        """The tier of a severity."""
        return next((tier for tier in self.tiers if tier.severity is severity), None)


class ReceiverPolicy(Struct, frozen=True, kw_only=True):
    """How a receiver's alerts are gathered, and at what pace it is told.

    `keeps_alive`: repeats are how it knows that an alert still fires, so they also go out for
    alerts that are silenced after they were announced.
    """

    name: str
    settings: ReceiverSettings
    group_by: tuple[str, ...]
    wait_ns: int
    interval_ns: int
    repeat_ns: int
    give_up_ns: int
    keeps_alive: bool


class Policy(Struct, frozen=True, kw_only=True):
    """All rules and receivers."""

    interval_s: float
    rules: tuple[RulePolicy, ...]
    receivers: dict[str, ReceiverPolicy]

    @classmethod
    def of(cls, settings: AlertSettings) -> Self:
        """Compile valid settings."""
        receivers = settings.receivers or {LOG_RECEIVER: ReceiverSettings(type=ReceiverType.LOG)}
        own = {rule.name for rule in settings.rules}
        defaults = [rule for rule in default_rules() if settings.defaults and rule.name not in own]
        names = tuple(receivers)
        return cls(
            interval_s=settings.interval,
            rules=(
                *(_rule(rule, names, is_default=False) for rule in settings.rules),
                *(_rule(rule, names, is_default=True) for rule in defaults),
            ),
            receivers={
                name: _receiver(name, receiver, settings) for name, receiver in receivers.items()
            },
        )

    def rule(self, name: str) -> RulePolicy | None:
        """The rule of a name."""
        return next((rule for rule in self.rules if rule.name == name), None)

    @property
    def series(self) -> frozenset[str]:
        """The names of all series that the rules look at, as they are exposed."""
        names: set[str] = set()
        for rule in self.rules:
            suffix = HISTOGRAM_SUFFIX if rule.reading.read is Read.QUANTILE else ""
            names.add(rule.reading.of.series + suffix)
            beside = (rule.reading.to, rule.reading.counted)
            names.update(one.series for one in beside if one is not None)
            if rule.relation is not None and rule.relation.series is not None:
                names.add(rule.relation.series)
        return frozenset(names)


def _rule(rule: RuleSettings, receivers: tuple[str, ...], *, is_default: bool) -> RulePolicy:
    return RulePolicy(
        name=rule.name,
        signal=rule.signal,
        reading=reading_of(rule),
        relation=rule.relative_to,
        tiers=tuple(_tier(tier, rule, receivers) for tier in rule.tiers),
        summary=rule.summary,
        description=rule.description,
        runbook_url=rule.runbook_url,
        labels=rule.labels,
        is_default=is_default,
    )


def _tier(tier: Tier, rule: RuleSettings, receivers: tuple[str, ...]) -> TierPolicy:
    falls = tier.below is not None or (tier.change_percent or 0) < 0
    return TierPolicy(
        severity=tier.severity,
        sign=-1 if falls else 1,
        threshold=tier.threshold,
        until=tier.threshold if tier.until is None else tier.until,
        timing=Timing(
            for_ns=_ns(tier.for_),
            keep_firing_ns=_ns(tier.keep_firing_for),
            no_data_ns=_ns(rule.no_data_for),
        ),
        receivers=tier.receivers or receivers,
    )


def _receiver(name: str, receiver: ReceiverSettings, settings: AlertSettings) -> ReceiverPolicy:
    if receiver.type is ReceiverType.ALERTMANAGER:
        # It groups, waits and repeats by its own configuration: it wants all there is, at once.
        return ReceiverPolicy(
            name=name,
            settings=receiver,
            group_by=(),
            wait_ns=0,
            interval_ns=0,
            repeat_ns=RESEND_NS,
            give_up_ns=RESEND_NS,
            keeps_alive=True,
        )
    return ReceiverPolicy(
        name=name,
        settings=receiver,
        group_by=settings.group_by,
        wait_ns=_ns(settings.group_wait),
        interval_ns=_ns(settings.group_interval),
        repeat_ns=_ns(settings.repeat),
        give_up_ns=GIVE_UP_NS,
        keeps_alive=False,
    )


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)
