"""The form of a record: the promises that let versions read each other."""

import msgspec

from sidecar.records import SCHEMA_VERSION, Captured, Record
from sidecar.records.record import Why

# What version 1 wrote, in its order. A new field is added at the end of these lists, with a
# default in the struct; whoever changes anything else breaks every journal there is.
FIELDS_OF_VERSION_1 = (
    "v", "id", "request_id", "at_ns", "route", "model", "role", "status", "outcome", "failure",
    "method", "path", "request_bytes", "response_bytes", "duration_ns", "upstream_ns",
    "first_byte_ns", "rows", "predictions", "predictions_cut", "scores", "segments", "unusual",
    "unread", "routing_version", "trace_id", "worker", "shadow_of", "captured",
)  # fmt: skip
CAPTURED_OF_VERSION_1 = (
    "why", "request_headers", "query", "request_body", "request_cut", "request_withheld",
    "response_headers", "response_body", "response_cut", "response_withheld", "redacted",
)  # fmt: skip


def test_fields_keep_their_places():
    assert SCHEMA_VERSION == 1
    assert Record.__struct_fields__[: len(FIELDS_OF_VERSION_1)] == FIELDS_OF_VERSION_1
    assert Captured.__struct_fields__[: len(CAPTURED_OF_VERSION_1)] == CAPTURED_OF_VERSION_1


def test_fields_added_since_version_1_have_defaults():
    added = msgspec.structs.fields(Record)[len(FIELDS_OF_VERSION_1) :]

    assert [field.name for field in added if field.required] == []


def test_what_was_captured_is_in_no_repr():
    record = Captured(
        why=Why.FAILED,
        request_headers=(("x-key", "S3CRET"),),
        query="S3CRET",
        request_body=b"S3CRET",
        response_body=b"S3CRET",
    )

    assert "S3CRET" not in repr(record)
    assert "S3CRET" not in f"{record}"
