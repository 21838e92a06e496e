"""Records as workers write them: one without bodies, one with, and makers of variants."""

from collections.abc import Callable

import msgspec
import pytest

from sidecar.model import Role, StatusClass
from sidecar.records import Captured, Record, Why

OUTCOME = Record(
    id="0192ce5f-8f2b-7c3d-9e4f-5a6b7c8d9e0f",
    request_id="req-1",
    at_ns=1_730_000_000_123_456_789,
    route="iris",
    model="stable",
    role=Role.PRIMARY,
    status=200,
    outcome=StatusClass.SUCCESS,
    method="POST",
    path="/v2/models/iris/infer",
    request_bytes=412,
    response_bytes=180,
    duration_ns=1_834_000,
    upstream_ns=1_700_000,
    first_byte_ns=1_650_000,
    rows=2,
    predictions=("setosa", 1, 2.5, True, None),
    scores=(0.93, None),
    segments={"region": "eu", "tier": None},
    unusual=0.25,
    routing_version=7,
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    worker=1,
)
CAPTURED = Captured(
    why=Why.FAILED,
    request_headers=(("content-type", "application/json"), ("x-team", "caf\xe9")),
    query="a=1",
    request_body=b'{"inputs": []}',
    response_headers=(("content-type", "text/plain"),),
    response_body=b"\xff\x00 no text",
    response_cut=100_000,
    redacted=True,
)


@pytest.fixture
def outcome() -> Record:
    """A record without bodies."""
    return OUTCOME


@pytest.fixture
def captured() -> Record:
    """A record with bodies, one of them no text."""
    return msgspec.structs.replace(OUTCOME, captured=CAPTURED)


@pytest.fixture
def varied() -> Callable[..., Record]:
    """The record without bodies, with some fields changed."""
    return lambda **changes: msgspec.structs.replace(OUTCOME, **changes)
