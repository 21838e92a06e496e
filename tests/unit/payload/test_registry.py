"""The registry: every protocol has a codec, and what is no pointer is refused when one is built."""

import pytest

from sidecar.payload import Body, Inputs, Outputs, PayloadSettings, Protocol, Source, codec_for
from sidecar.payload.registry import FACTORIES


def test_every_protocol_has_a_codec():
    assert set(FACTORIES) == set(Protocol)


def test_bodies_that_are_not_to_be_looked_at_are_not():
    codec = codec_for(PayloadSettings(codec=Protocol.NONE), max_bytes=1)

    assert codec.read_request(Body(b"{oops")) == Inputs((), ())
    assert codec.read_response(Body(b"{oops")) == Outputs()


@pytest.mark.parametrize(
    ("settings", "sources"),
    [
        (PayloadSettings(codec=Protocol.JSON, instances="rows"), ()),
        (PayloadSettings(codec=Protocol.JSON, prediction="/a~"), ()),
        (PayloadSettings(), (Source(pointer="rows"),)),
    ],
)
def test_what_is_no_pointer_is_refused_when_the_codec_is_built(settings, sources):
    with pytest.raises(ValueError, match="JSON Pointer"):
        codec_for(settings, sources, max_bytes=1)
