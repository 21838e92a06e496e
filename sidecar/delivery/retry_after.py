"""The patience that a server asks for."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after_s(field: str | None, now_ns: int) -> float:
    """The wait that a Retry-After field asks for (RFC 9110 10.2.3); 0 when it does not.

    `now_ns` is the wall clock, against which a date counts.
    """
    if field is None:
        return 0.0
    text = field.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return max((at - datetime.fromtimestamp(now_ns / 1e9, UTC)).total_seconds(), 0.0)
    except (ValueError, OverflowError):
        return 0.0
