"""Closed sets that appear in metrics, records and the API; their values stay once released."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a model is to a request."""

    PRIMARY = "primary"
    CANARY = "canary"
    SHADOW = "shadow"


class StatusClass(StrEnum):
    """How an exchange with a model ended: the class of its status, or why there was none.

    `ERROR` is a failure of the model (no usable answer); `FALLBACK` marks a request that was
    assigned to a canary which could not be reached and was answered by the primary, so that a
    verdict on the canary is not flattered; `ABORTED` is a client that left before the answer was
    complete.
    """

    INFORMATIONAL = "1xx"
    SUCCESS = "2xx"
    REDIRECTION = "3xx"
    CLIENT_ERROR = "4xx"
    SERVER_ERROR = "5xx"
    ERROR = "error"
    FALLBACK = "fallback"
    ABORTED = "aborted"


class ShadowOutcome(StrEnum):
    """What became of one mirrored request; everything but `ANSWERED` is a mirror that was lost."""

    ANSWERED = "answered"
    SKIPPED_BUSY = "skipped_busy"  # the shadow's concurrency cap was reached
    SKIPPED_TOO_LARGE = "skipped_too_large"  # the body is over the shadow's size cap
    SKIPPED_INCOMPLETE = "skipped_incomplete"  # the client's body never became complete
    SKIPPED_BREAKER = "skipped_breaker"  # the shadow fails again and again and is left alone
    SKIPPED_DRAINING = "skipped_draining"  # the worker is stopping
    CONNECT_FAILED = "connect_failed"
    RESET = "reset"  # the connection ended before the answer was complete
    TIMEOUT = "timeout"
    BROKEN = "broken"  # the answer was not HTTP


class DropReason(StrEnum):
    """Why an exchange that should be recorded is not: each is counted, none is an error of its."""

    QUEUE_FULL = "queue_full"  # the disk does not keep up
    TOO_LARGE = "too_large"  # the record is larger than the queue
    DISK_FULL = "disk_full"
    JOURNAL_FULL = "journal_full"  # the worker's share of `journal.retain` is used up
    WRITE_ERROR = "write_error"
    CLOSED = "closed"  # the worker was already ending
    FAULT = "fault"  # a defect of ours; the log says where
