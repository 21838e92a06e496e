"""Which model answers a request and who shadows it: pure decisions on immutable values."""

from sidecar.routing.head import Head
from sidecar.routing.match import Match, host_name
from sidecar.routing.router import Decision, Router, decide
from sidecar.routing.split import MODELS_MAX, SLOTS, SLOTS_PER_PERCENT, Split
from sidecar.routing.sticky import Sticky, StickyBy
from sidecar.routing.table import FORCE_FIELD, Route, RouteTable, ShadowTarget, Target

__all__ = [
    "FORCE_FIELD",
    "MODELS_MAX",
    "SLOTS",
    "SLOTS_PER_PERCENT",
    "Decision",
    "Head",
    "Match",
    "Route",
    "RouteTable",
    "Router",
    "ShadowTarget",
    "Split",
    "Sticky",
    "StickyBy",
    "Target",
    "decide",
    "host_name",
]
