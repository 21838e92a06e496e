"""All rules over all settings."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.config.problems import Finding
from sidecar.config.rules.alerts import examine_alerts
from sidecar.config.rules.drift import examine_drift
from sidecar.config.rules.limits import examine_limits
from sidecar.config.rules.listeners import examine_listeners
from sidecar.config.rules.models import examine_models
from sidecar.config.rules.payloads import examine_payloads
from sidecar.config.rules.recording import examine_recording
from sidecar.config.rules.routes import examine_routes
from sidecar.config.rules.sinks import examine_sinks
from sidecar.config.settings import Settings


def examine(settings: Settings) -> Iterator[Finding]:
    """Everything there is to say about settings whose keys are valid each on its own."""
    yield from examine_listeners(settings)
    yield from examine_models(settings)
    yield from examine_routes(settings)
    yield from examine_payloads(settings)
    yield from examine_limits(settings)
    yield from examine_drift(settings)
    yield from examine_alerts(settings)
    yield from examine_recording(settings)
    yield from examine_sinks(settings)
