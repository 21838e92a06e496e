"""What is said of an exchange, and how it is written; pure."""

from sidecar.records.codec import decode, encode, from_json, to_json
from sidecar.records.record import (
    MOST_PREDICTIONS,
    SCHEMA_VERSION,
    Captured,
    Record,
    RecordError,
    Why,
    Withheld,
)

__all__ = [
    "MOST_PREDICTIONS",
    "SCHEMA_VERSION",
    "Captured",
    "Record",
    "RecordError",
    "Why",
    "Withheld",
    "decode",
    "encode",
    "from_json",
    "to_json",
]
