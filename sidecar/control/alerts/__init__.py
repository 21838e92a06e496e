"""Alerts: when a series says that something is wrong, the right people are told, once.

Decisions are a pure step on values (`step`); `AlertWatch` runs it, keeps its state and sends what
it says.
"""

from sidecar.control.alerts.bodies import timestamp
from sidecar.control.alerts.bulletins import bulletin
from sidecar.control.alerts.courier import Courier, Outcome
from sidecar.control.alerts.lifecycle import Alert, State
from sidecar.control.alerts.memory import AlertFiles
from sidecar.control.alerts.policy import Policy, RulePolicy
from sidecar.control.alerts.samples import Sample, SampleSource
from sidecar.control.alerts.silences import Silence, inhibited, silenced_by
from sidecar.control.alerts.step import AlertState, step
from sidecar.control.alerts.watch import AlertWatch

__all__ = [
    "Alert",
    "AlertFiles",
    "AlertState",
    "AlertWatch",
    "Courier",
    "Outcome",
    "Policy",
    "RulePolicy",
    "Sample",
    "SampleSource",
    "Silence",
    "State",
    "bulletin",
    "inhibited",
    "silenced_by",
    "step",
    "timestamp",
]
