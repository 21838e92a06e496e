"""Alerts as Prometheus families: how many there are, and whether receivers could be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from sidecar.config.alerting import AlertSeverity
from sidecar.control.alerts import AlertWatch, Outcome, State

_SHOWN = (State.PENDING, State.FIRING)


class AlertMetrics(Collector):
    """Collects what a watch knows."""

    def __init__(self, watch: AlertWatch) -> None:
        self._watch = watch

    def collect(self) -> Iterator[Metric]:
        """All families of alerts."""
        counts = Counter(
            (one.severity, State.FIRING if one.state.fires else one.state)
            for one in self._watch.state.alerts.values()
        )
        alerts = GaugeMetricFamily(
            "sidecar_alerts", "Alerts now, silenced ones included.", labels=("severity", "state")
        )
        for severity in AlertSeverity:
            for state in _SHOWN:
                alerts.add_metric((severity.value, state.value), counts[severity, state])
        yield alerts
        notifications = CounterMetricFamily(
            "sidecar_alert_notifications",
            "Messages to receivers: delivered, attempts that failed, and those given up.",
            labels=("receiver", "outcome"),
        )
        waiting = GaugeMetricFamily(
            "sidecar_alert_notifications_waiting",
            "Messages that a receiver has not confirmed yet.",
            labels=("receiver",),
        )
        for name, courier in self._watch.couriers.items():
            for outcome in Outcome:
                notifications.add_metric((name, outcome.value), courier.outcomes[outcome])
            waiting.add_metric((name,), courier.waiting)
        yield from (notifications, waiting)
