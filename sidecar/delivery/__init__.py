"""From the journal to sinks, and what could not be delivered or predicted."""

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

__all__ = [
    "ALL_DELIVERED",
    "Circuit",
    "CircuitState",
    "DeadLetters",
    "Delivered",
    "Flushing",
    "Item",
    "Refused",
    "RetryPolicy",
    "Sink",
    "Unavailable",
]
