"""What do these bytes say? Codecs from bodies to features, predictions and scores. Pure."""

from sidecar.payload.extract import Body, Inputs, Outputs, Undecodable, Value
from sidecar.payload.names import Protocol, Reason
from sidecar.payload.settings import PayloadSettings, Source

__all__ = [
    "Body",
    "Inputs",
    "Outputs",
    "PayloadSettings",
    "Protocol",
    "Reason",
    "Source",
    "Undecodable",
    "Value",
]
