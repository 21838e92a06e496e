"""What do these bytes say? Codecs from bodies to features, predictions and scores. Pure."""

from sidecar.payload.codec import Codec, StreamReader
from sidecar.payload.extract import Body, Inputs, Outputs, Undecodable, Value
from sidecar.payload.names import Protocol, Reason
from sidecar.payload.registry import codec_for, raw_codec_for, stream_reader
from sidecar.payload.settings import PayloadSettings, Source

__all__ = [
    "Body",
    "Codec",
    "Inputs",
    "Outputs",
    "PayloadSettings",
    "Protocol",
    "Reason",
    "Source",
    "StreamReader",
    "Undecodable",
    "Value",
    "codec_for",
    "raw_codec_for",
    "stream_reader",
]
