"""The renderer of the sidecar's own answers."""

import json

import h11
import pytest

from sidecar.errors import ClientError, LocalError, SidecarError, UpstreamError
from sidecar.proxy.answers import render


def parsed(data: bytes, *, method: str = "GET") -> tuple[h11.Response, bytes]:
    """What an HTTP client reads; all of the bytes belong to the answer."""
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(data)
    response = reader.next_event()
    assert isinstance(response, h11.Response)
    body = b""
    while isinstance(part := reader.next_event(), h11.Data):
        body += bytes(part.data)
    assert isinstance(part, h11.EndOfMessage)
    assert reader.trailing_data[0] == b""
    return response, body


@pytest.mark.parametrize(
    "error",
    [
        ClientError("it is wrong"),
        ClientError("a route is missing", code="no_route", status=404),
        *(ClientError("a limit", code="limit", status=status) for status in (408, 413, 414, 431)),
        UpstreamError("nobody is there"),
        UpstreamError("it took too long", code="upstream_timeout", status=504),
        LocalError("too many"),
        SidecarError("a mistake of ours"),
    ],
    ids=lambda error: f"{error.status} {error.code}",
)
def test_every_error_becomes_an_answer_that_says_who_and_why(error):
    data = render(error, request_id=b"id-1", head_request=False, close=False)
    response, body = parsed(data)
    assert response.status_code == error.status
    assert json.loads(body) == {
        "error": {"code": error.code, "message": error.message, "request_id": "id-1"}
    }
    fields = dict(response.headers)
    assert fields[b"x-sidecar-error"] == error.code.encode()
    assert fields[b"x-request-id"] == b"id-1"
    assert b"connection" not in fields


def test_the_message_of_an_error_cannot_break_out_of_its_body():
    error = ClientError('"}\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\u2028')
    _, body = parsed(render(error, request_id=b'"\\', head_request=False, close=False))
    assert json.loads(body)["error"] == {
        "code": "bad_request",
        "message": error.message,
        "request_id": '"\\',
    }


def test_an_answer_to_head_announces_a_body_and_has_none():
    data = render(LocalError("full"), request_id=b"1", head_request=True, close=False)
    response, body = parsed(data, method="HEAD")
    assert body == b""
    assert int(dict(response.headers)[b"content-length"]) > 0


def test_a_connection_that_ends_says_so():
    data = render(ClientError("wrong"), request_id=b"1", head_request=False, close=True)
    assert dict(parsed(data)[0].headers)[b"connection"] == b"close"


def test_only_what_passes_by_itself_may_be_tried_again_soon():
    def retry_after(error):
        data = render(error, request_id=b"1", head_request=False, close=False)
        return dict(parsed(data)[0].headers).get(b"retry-after")

    assert retry_after(LocalError("full")) == b"1"
    assert retry_after(UpstreamError("gone")) is None
    assert retry_after(ClientError("wrong")) is None
