"""Records as CloudEvents 1.0.2 in HTTP (protocol binding 1.0.2, JSON event format 1.0.2).

Binary mode: a request for each event, its attributes as `ce-` fields, its data as the body. Batched
mode: a JSON list of events in one request, `application/cloudevents-batch+json`.

What the events are is one of two forms:

- `records`: a record each, of type `sidecar.record`, with its JSON as the data.
- `kserve`: what KServe's logger sends, so that what was built for that goes on working. The
  captured request and the captured answer are an event each, of the same `id` and with the bytes
  that were captured as the data. A record without bodies gives none.

The `id` is the record's: the same however often it is sent, for receivers to drop duplicates by.
KServe's names for what we have: `inferenceservicename` is the route, `endpoint` is `default` for
the primary, else the role (`canary`, `shadow`), `component` is `predictor`, and `namespace` that of
the pod. Ours beside them: `model`, `route`, `requestid`; `fullsize` of a body that was cut.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from sidecar.delivery.sinks.envelope import JSON_TYPE, attributes
from sidecar.model import Role
from sidecar.records import Captured, Record, to_json

BATCH_TYPE: Final = "application/cloudevents-batch+json"
REQUEST_TYPE: Final = "org.kubeflow.serving.inference.request"
RESPONSE_TYPE: Final = "org.kubeflow.serving.inference.response"

BYTES_TYPE: Final = "application/octet-stream"

# What may stand in a header field as it is: printable ASCII but for space, `"` and `%` (HTTP
# protocol binding 1.0.2, 3.1.3.2).
_AS_IT_IS: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


class Event(Struct, frozen=True):
    """Attributes by name, and the data."""

    attributes: dict[str, str]
    content_type: str
    data: bytes


class KserveNames(Struct, frozen=True, kw_only=True):
    """What KServe's extensions say that no record does."""

    namespace: str = "default"
    component: str = "predictor"


def record_event(record: Record, source: str) -> Event:
    """A whole record. Raises RecordError (it has no JSON)."""
    return Event(attributes(record, source), JSON_TYPE, to_json(record))


def kserve_events(record: Record, source: str, names: KserveNames) -> list[Event]:
    """The request and the answer, as far as they were captured. Raises RecordError."""
    captured = record.captured
    if captured is None:
        return []
    common = {
        **attributes(record, source),
        "requestid": record.request_id,
        "inferenceservicename": record.route,
        "namespace": names.namespace,
        "component": names.component,
        "endpoint": "default" if record.role is Role.PRIMARY else record.role.value,
    }
    return [
        *_body(common, REQUEST_TYPE, captured.request_body, captured.request_cut, captured),
        *_body(common, RESPONSE_TYPE, captured.response_body, captured.response_cut, captured),
    ]


def header_fields(event: Event) -> dict[str, str]:
    """The fields of a request in binary mode."""
    fields = {f"ce-{name}": quoted(value) for name, value in event.attributes.items() if value}
    fields["Content-Type"] = event.content_type
    return fields


def batch(events: Iterable[Event]) -> bytes:
    """The body of a request in batched mode; data must be JSON."""
    encode = msgspec.json.encode
    listed = [
        b"%b,%b%b}"
        % (
            encode({name: value for name, value in event.attributes.items() if value})[:-1],
            b'"datacontenttype":"application/json","data":',
            event.data,
        )
        for event in events
    ]
    return b"[" + b",".join(listed) + b"]"


def quoted(value: str) -> str:
    """An attribute's value for a header field: percent-encoded where it is not plain ASCII."""
    return quote(value, safe=_AS_IT_IS)


def _body(
    common: dict[str, str], kind: str, body: bytes | None, cut: int, captured: Captured
) -> list[Event]:
    if body is None:
        return []
    fields = captured.request_headers if kind == REQUEST_TYPE else captured.response_headers
    whole = {"fullsize": str(cut)} if cut >= 0 else {}
    return [Event({**common, "type": kind, **whole}, _content_type(fields, body, cut), body)]


def _content_type(fields: Iterable[tuple[str, str]], body: bytes, cut: int) -> str:
    """What the body was sent as, if that was kept; else what it looks like."""
    said = next((value for name, value in fields if name.lower() == "content-type"), "")
    if said.isascii() and said.isprintable() and said:
        return said
    return JSON_TYPE if cut < 0 and body[:1] in (b"{", b"[") else BYTES_TYPE
