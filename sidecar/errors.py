"""One tree of errors: each says whose fault it was, its HTTP status, and a stable code.

Library errors are translated into these at one edge each; one renderer (`sidecar.proxy.answers`)
turns them into responses. A message never quotes a payload, a header value or a secret.
"""

from __future__ import annotations


class SidecarError(Exception):
    """What the sidecar itself reports: `status` for HTTP, `code` for machines, text for people."""

    status: int = 500
    code: str = "internal"

    def __init__(self, message: str, *, code: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status


class ConfigError(SidecarError):
    """The configuration is wrong: `path` names the key (as in `$.routes[0].primary`)."""

    status = 422
    code = "bad_config"

    def __init__(self, message: str, *, path: str = "$", code: str | None = None) -> None:
        super().__init__(f"{path}: {message}", code=code)
        self.path = path
        self.reason = message


class ClientError(SidecarError):
    """The request breaks HTTP or a limit (RFC 9110 15.5)."""

    status = 400
    code = "bad_request"


class UpstreamError(SidecarError):
    """The model could not be reached, broke HTTP, or took too long (RFC 9110 15.6.3, 15.6.5).

    `unsent` is True only when it is proven that no byte of the request reached the model;
    `unanswered` when the connection ended before any byte of an answer came.
    """

    status = 502
    code = "upstream_failed"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        unsent: bool = False,
        unanswered: bool = False,
    ) -> None:
        super().__init__(message, code=code, status=status)
        self.unsent = unsent
        self.unanswered = unanswered


class LocalError(SidecarError):
    """The sidecar itself cannot take the request now: full, draining, or not ready."""

    status = 503
    code = "unavailable"
