"""What passes, looked into between requests: bodies in, counts on the board, within a budget."""

from sidecar.monitor.capture import Capture
from sidecar.monitor.complaints import Complaints
from sidecar.monitor.exchanges import Ended, Findings, Found, Request
from sidecar.monitor.learning import Learned
from sidecar.monitor.monitor import Monitor
from sidecar.monitor.pairs import Ticket
from sidecar.monitor.watcher import Watcher

__all__ = [
    "Capture",
    "Complaints",
    "Ended",
    "Findings",
    "Found",
    "Learned",
    "Monitor",
    "Request",
    "Ticket",
    "Watcher",
]
