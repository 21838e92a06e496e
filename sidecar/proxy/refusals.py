"""What a client is told when its request breaks HTTP or a limit; one place for codes and words."""

from __future__ import annotations

from sidecar.errors import ClientError


def line_too_long(limit: int) -> ClientError:
    """RFC 9110 15.5.15."""
    return ClientError(
        f"the request line is longer than {limit} bytes", code="target_too_long", status=414
    )


def head_too_large(limit: int) -> ClientError:
    """RFC 6585 5."""
    return ClientError(
        f"the request head is larger than {limit} bytes", code="head_too_large", status=431
    )


def body_too_large(limit: int) -> ClientError:
    """RFC 9110 15.5.14."""
    return ClientError(
        f"the request body is larger than {limit} bytes", code="body_too_large", status=413
    )


def malformed_body(why: Exception) -> ClientError:
    """The framing of a body is broken."""
    return ClientError(f"malformed body: {why}")


def bare_line_end() -> ClientError:
    """A head with a CR or LF that is not part of a CRLF."""
    return ClientError("a bare CR or LF in the request head")


def timed_out(what: str) -> ClientError:
    """RFC 9110 15.5.9."""
    return ClientError(f"{what} did not arrive in time", code="request_timeout", status=408)


def has_bare_line_end(data: bytes) -> bool:
    """Whether an incomplete head holds a CR or LF that is not part of a CRLF."""
    pairs = data.count(b"\r\n")
    carriage_returns = data.count(b"\r") - data.endswith(b"\r")
    return data.count(b"\n") != pairs or carriage_returns != pairs
