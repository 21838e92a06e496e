"""What is said of one exchange with a model: a small outcome, with bodies where policy kept them.

Every exchange gives one record, that of a shadow too; `request_id` links those of one request.
Records outlive the version that wrote them, so their form has rules:

- Fields are written in the order of their declaration, without names. A new field stands at the
  end and has a default; none is removed, moved or given another meaning. Then every version reads
  what an older one wrote, and skips what a newer one added.
- What cannot keep these rules is a new `SCHEMA_VERSION`.
- Texts from the wire (paths, header values) are its bytes read as Latin-1: none is lost, and each
  can be sent again as it came.
- Times and durations are integers of nanoseconds; a duration that is not known is -1.

Must not know: where a record is kept or sent, how it is written.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

from sidecar.errors import SidecarError
from sidecar.model import Role, StatusClass

SCHEMA_VERSION: Final = 1

MOST_PREDICTIONS: Final = 64
"""Of a request with more rows, the first so many are kept: a record is an outcome, no dataset."""

Predicted = float | int | bool | str | None
"""A prediction: a number, a class, or missing."""


class RecordError(SidecarError):
    """Bytes that are no record, or a record that has no bytes."""

    code = "bad_record"


class Why(StrEnum):
    """Why bodies were captured; the first that applies, so that `sampled` is no fair sample of
    failures, but is one of everything else.
    """

    FAILED = "failed"
    SAMPLED = "sampled"
    UNUSUAL = "unusual"


class Withheld(StrEnum):
    """Why a body that was captured is not in the record: what is secret in it cannot be told."""

    NOT_PARSED = "not_parsed"  # neither JSON nor CSV, or broken
    ENCODED = "encoded"  # compressed
    INCOMPLETE = "incomplete"  # only its beginning was there
    TOO_LARGE = "too_large"  # more than is parsed for redaction
    UNNAMED = "unnamed"  # rows in which nobody knows how the columns are called


class Captured(Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """Heads and bodies, as far as they were asked for; redaction is done.

    A body is None when there was none to keep; `request_withheld` and `response_withheld` say when
    that is for the sake of secrets. `request_cut` and `response_cut` are the length of a body of
    which only the beginning is here, else -1. `redacted`: something was changed or left out of a
    body; `request_redacted`: of the request's, so that it cannot be sent again as it was. Header
    fields and the query do not count: credentials are hidden from nearly every request, and a flag
    that is always up tells nothing.
    """

    why: Why
    request_headers: tuple[tuple[str, str], ...] = ()
    query: str | None = None
    request_body: bytes | None = None
    request_cut: int = -1
    request_withheld: Withheld | None = None
    response_headers: tuple[tuple[str, str], ...] = ()
    response_body: bytes | None = None
    response_cut: int = -1
    response_withheld: Withheld | None = None
    redacted: bool = False
    request_redacted: bool = False

    def __repr__(self) -> str:  # what was captured must not reach a log by a record's `repr`
        return f"Captured(why={self.why!r}, redacted={self.redacted}, ...)"


class Record(Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """The outcome of an exchange.

    `id` is a UUIDv7 of ours, the same however often the record is delivered; `request_id` is the
    client's word where it gave one. `at_ns` is the wall clock when the request began, `status` 0
    when there was no whole answer. `failure` is the code of an error such as `upstream_timeout`, of
    a shadow what became of the copy. `duration_ns` is what the client saw, `upstream_ns` what the
    model took, `first_byte_ns` when the answer began. `predictions` and `scores` are of the first
    rows, with `predictions_cut` when there are more; numbers in them are finite. `unusual` is from
    0 to 1; `unread` says why bodies could not be read. `shadow_of` is, of a shadow's record, the
    model that answered the client.
    """

    v: int = SCHEMA_VERSION
    id: str
    request_id: str
    at_ns: int
    route: str
    model: str
    role: Role
    status: int
    outcome: StatusClass
    failure: str | None = None
    method: str
    path: str
    request_bytes: int = 0
    response_bytes: int = 0
    duration_ns: int = -1
    upstream_ns: int = -1
    first_byte_ns: int = -1
    rows: int = 0
    predictions: tuple[Predicted, ...] = ()
    predictions_cut: bool = False
    scores: tuple[float | None, ...] = ()
    segments: dict[str, str | None] = {}
    unusual: float | None = None
    unread: str | None = None
    routing_version: int = 0
    trace_id: str = ""
    worker: int = 0
    shadow_of: str | None = None
    captured: Captured | None = None
