"""The one place that turns errors into responses: every answer the sidecar itself originates."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import orjson

from sidecar.errors import SidecarError

# Answers after which the client may try again; RFC 9110 10.2.3.
_RETRY_AFTER: Final = {503: b"Retry-After: 1\r\n"}


def render(error: SidecarError, *, request_id: bytes, head_request: bool, close: bool) -> bytes:
    """A whole response, marked by `X-Sidecar-Error`.

    Its body is `{"error": {"code": ..., "message": ..., "request_id": ...}}`.
    """
    body = orjson.dumps(
        {
            "error": {
                "code": error.code,
                "message": error.message,
                "request_id": request_id.decode("ascii"),
            }
        }
    )
    head = (
        b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
        b"X-Sidecar-Error: %b\r\nX-Request-Id: %b\r\n%b%b\r\n"
    ) % (
        error.status,
        HTTPStatus(error.status).phrase.encode(),
        len(body),
        error.code.encode(),
        request_id,
        _RETRY_AFTER.get(error.status, b""),
        b"Connection: close\r\n" if close else b"",
    )
    return head if head_request else head + body
