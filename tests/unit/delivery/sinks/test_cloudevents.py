"""CloudEvents as the specification and KServe's consumers want them."""

import json
import string
from urllib.parse import unquote

import pytest
from harness.delivering import record
from hypothesis import given
from hypothesis import strategies as st

from sidecar.delivery.sinks.cloudevents import (
    KserveNames,
    batch,
    header_fields,
    kserve_events,
    quoted,
    record_event,
)
from sidecar.model import Role
from sidecar.records import Captured, Why, from_json

NAMES = KserveNames(namespace="prod")


def captured(**fields):
    return Captured(
        **{
            "why": Why.SAMPLED,
            "request_body": b'{"inputs": []}',
            "response_body": b'{"outputs": []}',
        }
        | fields
    )


def test_a_record_is_an_event_with_the_required_attributes():
    event = record_event(record(1), "/model-sidecar")
    assert event.attributes == {
        "specversion": "1.0",
        "id": record(1).id,
        "source": "/model-sidecar",
        "type": "sidecar.record",
        "time": "2023-11-14T22:13:20.000000001Z",
        "model": "stable",
        "route": "r",
        "recordversion": "1",
    }
    assert from_json(event.data) == record(1)


def test_in_binary_mode_attributes_are_header_fields():
    fields = header_fields(record_event(record(1), "/model-sidecar"))
    assert fields["ce-id"] == record(1).id
    assert fields["ce-specversion"] == "1.0"
    assert fields["Content-Type"] == "application/json"


def test_a_batch_is_a_list_of_events_in_the_json_format():
    events = json.loads(batch(record_event(record(n), "/s") for n in range(3)))
    assert [event["id"] for event in events] == [record(n).id for n in range(3)]
    assert events[0]["datacontenttype"] == "application/json"
    assert events[0]["data"]["request_id"] == "request-0"


def test_an_empty_batch_is_an_empty_list():
    assert batch([]) == b"[]"


def test_kserve_gets_the_request_and_the_answer_with_one_id_and_its_extensions():
    request, response = kserve_events(record(1, captured=captured()), "/s", NAMES)
    assert request.attributes["id"] == response.attributes["id"] == record(1).id
    assert request.attributes["type"] == "org.kubeflow.serving.inference.request"
    assert response.attributes["type"] == "org.kubeflow.serving.inference.response"
    assert (request.data, response.data) == (b'{"inputs": []}', b'{"outputs": []}')
    assert {
        name: request.attributes[name]
        for name in ("inferenceservicename", "namespace", "component", "endpoint", "requestid")
    } == {
        "inferenceservicename": "r",
        "namespace": "prod",
        "component": "predictor",
        "endpoint": "default",
        "requestid": "request-1",
    }


def test_names_of_attributes_are_those_that_the_specification_allows():
    events = kserve_events(record(1, captured=captured(request_cut=9)), "/s", NAMES)
    allowed = set(string.ascii_lowercase + string.digits)
    for event in [*events, record_event(record(1), "/s")]:
        assert all(set(name) <= allowed and len(name) <= 20 for name in event.attributes)


@pytest.mark.parametrize(
    ("role", "endpoint"),
    [(Role.PRIMARY, "default"), (Role.CANARY, "canary"), (Role.SHADOW, "shadow")],
)
def test_kserves_endpoint_says_which_role_the_model_had(role, endpoint):
    event, _ = kserve_events(record(1, role=role, captured=captured()), "/s", NAMES)
    assert event.attributes["endpoint"] == endpoint


def test_a_record_without_bodies_gives_kserve_nothing():
    assert kserve_events(record(1), "/s", NAMES) == []
    assert kserve_events(record(1, captured=Captured(why=Why.FAILED)), "/s", NAMES) == []


def test_a_body_that_was_cut_says_how_long_it_was():
    cut = captured(request_body=b'{"inputs', request_cut=90_000)
    request, response = kserve_events(record(1, captured=cut), "/s", NAMES)
    assert request.attributes["fullsize"] == "90000"
    assert request.content_type == "application/octet-stream"
    assert "fullsize" not in response.attributes


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ((("Content-Type", "text/csv"),), b"1,2", "text/csv"),
        ((("content-type", "text/\xe9"),), b"1,2", "application/octet-stream"),
        ((), b'{"a": 1}', "application/json"),
        ((), b"[1]", "application/json"),
        ((), b"\x00\x01", "application/octet-stream"),
    ],
)
def test_the_type_of_a_body_is_what_was_said_or_what_it_looks_like(headers, body, expected):
    kept = captured(request_body=body, request_headers=headers)
    request, _ = kserve_events(record(1, captured=kept), "/s", NAMES)
    assert request.content_type == expected


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=60))
def test_any_attribute_can_stand_in_a_header_field_and_be_read_back(value):
    text = quoted(value)
    assert text.isascii()
    assert text.isprintable()
    assert not set(text) & set(' "')
    assert unquote(text) == value
