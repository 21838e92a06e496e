"""Which sink a `type` of the configuration is: the one list of them.

A new sink is a module with a class that is made of its settings and the `Surroundings`, a struct in
`sidecar.config.recording`, and a line here. Modules are imported when a sink of theirs is wanted:
some need a library that is not always installed, and say so with a ConfigError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, cast

from msgspec import Struct

from sidecar.delivery.sink import Sink
from sidecar.errors import ConfigError

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
    source: str = "/sidecar"


def sink_for(settings: Struct, surroundings: Surroundings) -> Sink:
    """The sink of these settings, not opened yet. Raises ConfigError: unknown, or not installed."""
    tag = str(settings.__struct_config__.tag)
    try:
        module, name = SINKS[tag].split(":")
    except KeyError:
        known = ", ".join(SINKS)
        raise ConfigError(f"there is no sink of type `{tag}`; there are {known}") from None
    made: Callable[..., Any] = getattr(import_module(module), name)
    return cast("Sink", made(settings, surroundings))
