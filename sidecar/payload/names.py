"""Closed sets of the payload package; their values appear in configuration, metrics and the API."""

from __future__ import annotations

from enum import StrEnum


class Protocol(StrEnum):
    """What bodies a model speaks."""

    AUTO = "auto"
    OPEN_INFERENCE = "open-inference"
    KSERVE_V1 = "kserve-v1"
    MLFLOW = "mlflow"
    OPENAI = "openai"
    JSON = "json"
    CSV = "csv"
    NONE = "none"  # bodies are not looked at


class Reason(StrEnum):
    """Why a body could not be read."""

    TOO_LARGE = "too_large"  # beyond monitor.max_body, compressed or not
    ENCODING = "encoding"  # a content coding we cannot undo, or a broken one
    NOT_JSON = "not_json"
    TOO_DEEP = "too_deep"
    SHAPE = "shape"  # JSON, but not of this protocol: sizes, types or keys do not fit
    UNKNOWN = "unknown"  # no protocol known to us
    INCOMPLETE = "incomplete"  # the body never became complete
