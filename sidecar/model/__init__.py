"""The shared vocabulary: closed sets and frozen values that every part speaks."""

from sidecar.model.cells import CellKey
from sidecar.model.columns import ColumnKind, ColumnPart
from sidecar.model.latencies import LATENCY_DECADES, LONGEST_LATENCY_NS, SHORTEST_LATENCY_NS
from sidecar.model.names import DropReason, Role, ShadowOutcome, StatusClass

__all__ = [
    "LATENCY_DECADES",
    "LONGEST_LATENCY_NS",
    "SHORTEST_LATENCY_NS",
    "CellKey",
    "ColumnKind",
    "ColumnPart",
    "DropReason",
    "Role",
    "ShadowOutcome",
    "StatusClass",
]
