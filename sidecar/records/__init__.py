"""What is said of an exchange, and how it is written; pure."""

from sidecar.records.codec import decode, encode, from_json, to_json, to_json_lines
from sidecar.records.columns import columns
from sidecar.records.hiding import How
from sidecar.records.naming import ColumnRule, PointerRule, RedactionRules
from sidecar.records.policy import CapturePolicy
from sidecar.records.record import (
    MOST_PREDICTIONS,
    SCHEMA_VERSION,
    Captured,
    Record,
    RecordError,
    Why,
    Withheld,
)
from sidecar.records.redaction import NOTHING_SECRET, Kept, Redactor

__all__ = [
    "MOST_PREDICTIONS",
    "NOTHING_SECRET",
    "SCHEMA_VERSION",
    "CapturePolicy",
    "Captured",
    "ColumnRule",
    "How",
    "Kept",
    "PointerRule",
    "Record",
    "RecordError",
    "RedactionRules",
    "Redactor",
    "Why",
    "Withheld",
    "columns",
    "decode",
    "encode",
    "from_json",
    "to_json",
    "to_json_lines",
]
