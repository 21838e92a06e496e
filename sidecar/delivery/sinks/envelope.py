"""The attributes of a record as a CloudEvent (CloudEvents 1.0.2), for brokers' message headers.

In binary content mode the payload is the record's JSON as it is, and the attributes are headers:
`ce_id` in Kafka, `ce-id` in NATS and HTTP. So a consumer can route, filter and drop duplicates
without reading a payload, and every CloudEvents library understands the messages.
"""

from __future__ import annotations

from typing import Final

from sidecar.records import Record
from sidecar.records.codec import time_text

SPEC_VERSION: Final = "1.0"
RECORD_TYPE: Final = "sidecar.record"
JSON_TYPE: Final = "application/json"


def attributes(record: Record, source: str) -> dict[str, str]:
    """The attributes by name. `id` is the record's, the same however often it is sent.

    `model`, `route` and `recordversion` are extensions: names of lower-case letters (spec, 3.1).
    """
    return {
        "specversion": SPEC_VERSION,
        "id": record.id,
        "source": source,
        "type": RECORD_TYPE,
        "time": time_text(record.at_ns),
        "model": record.model,
        "route": record.route,
        "recordversion": str(record.v),
    }
