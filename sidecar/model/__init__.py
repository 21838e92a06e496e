"""The shared vocabulary: closed sets and frozen values that every part speaks."""

from sidecar.model.cells import CellKey
from sidecar.model.names import Role, ShadowOutcome, StatusClass

__all__ = ["CellKey", "Role", "ShadowOutcome", "StatusClass"]
