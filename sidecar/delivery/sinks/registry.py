"""Which sink a `type` of the configuration is: the one list of them.

A new sink is a struct in `sidecar.config.sinks`, a module with a class that is made of it and of
the `Surroundings`, and a line here. A module is imported when a sink of it is wanted: some need a
library that is not always installed, and say so with a ConfigError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct

from sidecar.config.sinks import SinkSettings
from sidecar.delivery.sink import Sink

SINKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "jsonl": "sidecar.delivery.sinks.jsonl:JsonlSink",
        "stdout": "sidecar.delivery.sinks.stdout:StdoutSink",
        "http": "sidecar.delivery.sinks.http:HttpSink",
        "kafka": "sidecar.delivery.sinks.kafka:KafkaSink",
        "nats": "sidecar.delivery.sinks.nats:NatsSink",
        "parquet": "sidecar.delivery.sinks.parquet:ParquetSink",
    }
)


class Surroundings(Struct, frozen=True, kw_only=True):
    """What sinks may know beside their settings.

    `source` names this sidecar in the records' envelopes; `wall_ns` is the wall clock; `chance`
    gives numbers in [0, 1).
    """

    environ: Mapping[str, str]
    wall_ns: Callable[[], int]
    chance: Callable[[], float]
    source: str = "/model-sidecar"


def sink_for(settings: SinkSettings, surroundings: Surroundings) -> Sink:
    """The sink of these settings, not opened yet. Raises ConfigError: it is not installed."""
    module, name = SINKS[settings.type].split(":")
    made: Callable[[Any, Surroundings], Sink] = getattr(import_module(module), name)
    return made(settings, surroundings)
