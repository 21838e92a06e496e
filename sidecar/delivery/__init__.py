"""From the journal to sinks, and what could not be delivered or predicted.

A `Pump` serves one `Sink` (`sidecar.delivery.sinks`); what a sink will not take goes to the
`DeadLetters`. docs/logging.md tells the whole.
"""

from sidecar.delivery.consignment import Consignment
from sidecar.delivery.figures import DeliveryFigures
from sidecar.delivery.ledger import Outcome
from sidecar.delivery.policy import PumpPolicy
from sidecar.delivery.pump import Pump
from sidecar.delivery.retries import Circuit, CircuitState, RetryPolicy
from sidecar.delivery.sink import (
    ALL_DELIVERED,
    DeadLetters,
    Delivered,
    Flushing,
    Item,
    Refused,
    Sink,
    Unavailable,
)
from sidecar.delivery.source import JournalSource, Source

__all__ = [
    "ALL_DELIVERED",
    "Circuit",
    "CircuitState",
    "Consignment",
    "DeadLetters",
    "Delivered",
    "DeliveryFigures",
    "Flushing",
    "Item",
    "JournalSource",
    "Outcome",
    "Pump",
    "PumpPolicy",
    "Refused",
    "RetryPolicy",
    "Sink",
    "Source",
    "Unavailable",
]
