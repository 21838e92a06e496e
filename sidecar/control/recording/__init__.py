"""What becomes of records in the controller: counted, delivered, kept as dead letters, removed."""

from sidecar.control.recording.books import Balance, last_balance
from sidecar.control.recording.ledger import Books, boot_of
from sidecar.control.recording.recording import Clocks, Recording

__all__ = [
    "Balance",
    "Books",
    "Clocks",
    "Recording",
    "boot_of",
    "last_balance",
]
