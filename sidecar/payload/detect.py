"""Which protocol a body speaks: by the path that was asked for, else by the form of the body.

Free-form JSON is never guessed at: an API for something else would be taken for a model.
"""

from __future__ import annotations

import re
from typing import Final

from sidecar.payload.names import Protocol

# Servers mount these below prefixes of their own (KServe: /serving/<namespace>/<name>/v1/...).
_PATHS: Final = (
    (
        re.compile(rb"/v2/models/[^/?]+(?:/versions/[^/?]+)?/infer(?:\?|\Z)"),
        Protocol.OPEN_INFERENCE,
    ),
    (
        re.compile(rb"/v1/models/[^/?]+(?:/(?:versions|labels)/[^/?]+)?:predict(?:\?|\Z)"),
        Protocol.KSERVE_V1,
    ),
    (re.compile(rb"/v1/(?:chat/)?completions(?:\?|\Z)"), Protocol.OPENAI),
    (re.compile(rb"/invocations(?:\?|\Z)"), Protocol.MLFLOW),
)
# The keys of a request, and of an answer, that no other protocol has.
_REQUEST_KEYS: Final = {
    "instances": Protocol.KSERVE_V1,
    "dataframe_split": Protocol.MLFLOW,
    "dataframe_records": Protocol.MLFLOW,
    "messages": Protocol.OPENAI,
    "prompt": Protocol.OPENAI,
}
_ANSWER_KEYS: Final = {"predictions": Protocol.KSERVE_V1, "choices": Protocol.OPENAI}


def by_path(path: bytes) -> Protocol | None:
    """The protocol whose inference is asked for under this path."""
    for pattern, protocol in _PATHS:
        if pattern.search(path):
            return protocol
    return None


def by_media_type(content_type: bytes) -> Protocol | None:
    """The protocol that a Content-Type alone makes certain."""
    media_type = content_type.partition(b";")[0].strip().lower()
    return {b"text/csv": Protocol.CSV, b"text/event-stream": Protocol.OPENAI}.get(media_type)


def of_request(document: object) -> Protocol | None:
    """The protocol of a JSON request by its keys."""
    return _by_keys(document, _REQUEST_KEYS, "inputs")


def of_answer(document: object) -> Protocol | None:
    """The protocol of a JSON answer by its keys."""
    return _by_keys(document, _ANSWER_KEYS, "outputs")


def _by_keys(document: object, keys: dict[str, Protocol], tensors: str) -> Protocol | None:
    if type(document) is not dict:
        return None
    found = document.get(tensors)
    if type(found) is list and found and type(found[0]) is dict and "datatype" in found[0]:
        return Protocol.OPEN_INFERENCE
    for key, protocol in keys.items():
        if key in document:
            return protocol
    # TensorFlow Serving's form by columns.
    return Protocol.KSERVE_V1 if type(found) in (dict, list) else None
