"""How values are distributed: edges, mergeable histograms and the kernel that fills them. Pure."""

from sidecar.sketch.edges import Edges, latency_edges
from sidecar.sketch.histogram import Histogram, Quantile
from sidecar.sketch.kernels import ROW_WIDTH, IntArray, record_rows

__all__ = [
    "ROW_WIDTH",
    "Edges",
    "Histogram",
    "IntArray",
    "Quantile",
    "latency_edges",
    "record_rows",
]
