"""How values are distributed: edges, mergeable histograms and the kernels that fill them. Pure."""

from sidecar.sketch.areas import Area, AreaLayout, Block, BlockCounter, Outcomes, WatchCounter
from sidecar.sketch.columns import Column
from sidecar.sketch.distribution import Distribution, FloatArray
from sidecar.sketch.edges import Edges, latency_edges
from sidecar.sketch.fused import NOT_COUNTED, ColumnTable, CountValues, count_values
from sidecar.sketch.histogram import Histogram, Quantile
from sidecar.sketch.kernels import ROW_WIDTH, IntArray, record_rows

__all__ = [
    "NOT_COUNTED",
    "ROW_WIDTH",
    "Area",
    "AreaLayout",
    "Block",
    "BlockCounter",
    "Column",
    "ColumnTable",
    "CountValues",
    "Distribution",
    "Edges",
    "FloatArray",
    "Histogram",
    "IntArray",
    "Outcomes",
    "Quantile",
    "WatchCounter",
    "count_values",
    "latency_edges",
    "record_rows",
]
