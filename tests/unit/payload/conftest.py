"""Codecs over payloads that are written as Python values."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from sidecar.payload import (
    Body,
    Codec,
    Inputs,
    Outputs,
    PayloadSettings,
    Protocol,
    Source,
    Undecodable,
    codec_for,
)

MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Reader:
    """A codec that takes what a test writes: values become JSON, texts and bytes stay."""

    codec: Codec

    def request(self, value: object, **head: object) -> Inputs:
        return self.codec.read_request(Body(_bytes(value), **head))

    def response(self, value: object, inputs: Inputs | None = None, **head: object) -> Outputs:
        return self.codec.read_response(Body(_bytes(value), **head), inputs)

    def refusal(self, value: object, **head: object) -> Undecodable:
        """Why a request cannot be read; it must not be readable."""
        with pytest.raises(Undecodable) as refused:
            self.request(value, **head)
        return refused.value

    def refusal_of_response(self, value: object, inputs: Inputs | None = None) -> Undecodable:
        with pytest.raises(Undecodable) as refused:
            self.response(value, inputs)
        return refused.value


@pytest.fixture
def reader() -> Callable[..., Reader]:
    """Make a reader: of a protocol, under settings, with sources and names of a baseline."""

    def make(
        protocol: Protocol,
        sources: tuple[Source, ...] = (),
        names: tuple[str, ...] = (),
        max_bytes: int = MAX_BYTES,
        **settings: object,
    ) -> Reader:
        payload = PayloadSettings(codec=protocol, **settings)
        return Reader(codec_for(payload, sources, max_bytes=max_bytes, names=names))

    return make


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes | memoryview):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()
