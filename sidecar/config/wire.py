"""Settings as bytes: the form in which the controller sends and persists what holds them.

MessagePack by field names, so that a file written by one version is read by the next as long as
what was added has a default. Durations travel as seconds, sizes as bytes.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from sidecar.config.units import Duration, Size
from sidecar.config.update import RoutingUpdate
from sidecar.errors import ConfigError

T = TypeVar("T")


def encode(value: object) -> bytes:
    """The bytes of a value made of structs, settings among them."""
    return msgspec.msgpack.encode(value, enc_hook=_to_number)


def decode(data: bytes, kind: type[T]) -> T:
    """The value in these bytes. Raises ValueError when they hold none of this kind."""
    try:
        return msgspec.msgpack.decode(data, type=kind, dec_hook=_from_number)
    except msgspec.DecodeError as error:
        raise ValueError(f"not a {getattr(kind, '__name__', kind)}: {error}") from error


def encode_update(update: RoutingUpdate) -> bytes:
    """The bytes of an update."""
    return encode(update)


def decode_update(data: bytes) -> RoutingUpdate:
    """The update in these bytes. Raises ConfigError when they hold none."""
    try:
        return decode(data, RoutingUpdate)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _to_number(value: object) -> float | int:
    """Encoding hook of msgspec: seconds of a Duration, bytes of a Size."""
    match value:
        case Duration():
            return float(value)
        case Size():
            return int(value)
        case _:
            raise NotImplementedError(f"no wire form for {type(value).__name__}")


def _from_number(kind: type, value: object) -> object:
    """Decoding hook of msgspec, the inverse of `_to_number`."""
    if kind is Duration and isinstance(value, float | int) and not isinstance(value, bool):
        return Duration(value)
    if kind is Size and isinstance(value, int) and not isinstance(value, bool):
        return Size(value)
    raise ValueError(f"Expected a number, got {type(value).__name__}")
