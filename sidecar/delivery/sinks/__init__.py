"""The sinks: each says records in the words of one destination."""

from sidecar.delivery.sinks.registry import Surroundings, sink_for

__all__ = ["Surroundings", "sink_for"]
