"""What a letter is made of when it comes in: a failed request, or a record a sink refused. Pure."""

from __future__ import annotations

from msgspec import Struct

from sidecar.delivery.dead_letters.letters import DeadLetterClass, Obstacle, shortened
from sidecar.delivery.sink import Item
from sidecar.records import Record, Why, encode


class Arrival(Struct, frozen=True, kw_only=True):
    """A letter that comes in: what its row is made of, and the encoded record."""

    class_: DeadLetterClass
    sink: str
    record_id: str
    request_id: str
    at_ns: int
    route: str
    model: str
    role: str
    status: int
    outcome: str
    failure: str | None
    method: str
    path: str
    reason: str
    obstacle: Obstacle | None
    record: bytes


def of_failed_prediction(record: Record) -> Arrival:
    """A request that the answering model failed."""
    return _arrival(
        record,
        class_=DeadLetterClass.PREDICTION_FAILED,
        encoded=encode(record),
        reason=_reason_of_failure(record),
        obstacle=_obstacle_of(record),
    )


def of_refused_record(sink: str, item: Item, reason: str) -> Arrival:
    """A record that a sink will not take."""
    return _arrival(
        item.record,
        class_=DeadLetterClass.DELIVERY_FAILED,
        encoded=item.payload,
        sink=sink,
        record_id=item.id,
        reason=reason,
    )


def _arrival(
    record: Record,
    *,
    class_: DeadLetterClass,
    encoded: bytes,
    reason: str,
    sink: str = "",
    record_id: str | None = None,
    obstacle: Obstacle | None = None,
) -> Arrival:
    return Arrival(
        class_=class_,
        sink=sink,
        record_id=record.id if record_id is None else record_id,
        request_id=record.request_id,
        at_ns=record.at_ns,
        route=record.route,
        model=record.model,
        role=record.role,
        status=record.status,
        outcome=record.outcome,
        failure=record.failure,
        method=record.method,
        path=shortened(record.path),
        reason=shortened(reason),
        obstacle=obstacle,
        record=encoded,
    )


def _obstacle_of(record: Record) -> Obstacle | None:
    """What keeps this request from being sent again, None: nothing."""
    captured = record.captured
    if captured is None or captured.why is not Why.FAILED:
        return Obstacle.NOT_KEPT  # a sample has not the whole head: no media type, no query
    if captured.request_redacted or captured.request_withheld is not None:
        return Obstacle.REDACTED
    if captured.request_cut >= 0:
        return Obstacle.CUT
    if captured.request_body is None and record.request_bytes > 0:
        return Obstacle.NOT_KEPT
    return None


def _reason_of_failure(record: Record) -> str:
    """Why a prediction failed, as the record tells it."""
    if record.failure is not None:
        return record.failure
    return f"answered {record.status}" if record.status else record.outcome
