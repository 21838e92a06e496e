"""What a model's inputs and answers looked like when it was accepted. Pure."""

from sidecar.baseline.baseline import Baseline, BaselineSegment
from sidecar.baseline.learning import learn
from sidecar.baseline.measures import measure_columns
from sidecar.baseline.provisional import provisional
from sidecar.baseline.text import decode, encode

__all__ = [
    "Baseline",
    "BaselineSegment",
    "decode",
    "encode",
    "learn",
    "measure_columns",
    "provisional",
]
