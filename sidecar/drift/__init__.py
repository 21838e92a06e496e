"""Do two distributions differ, and does it matter? Pure."""

from sidecar.drift.settings import Thresholds

__all__ = ["Thresholds"]
