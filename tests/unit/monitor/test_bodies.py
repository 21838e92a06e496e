"""Bodies are read as what they look like, and heads are asked only when that fails."""

import gzip
import json
import struct

import pytest
from harness.observing import inference, probabilities

from sidecar.monitor.bodies import BodyReader, is_event_stream, looks_like_json
from sidecar.monitor.capture import Capture, Pieces, Room
from sidecar.monitor.exchanges import Ended, Request
from sidecar.payload import Body, Inputs, Outputs, PayloadSettings, Reason, Undecodable, codec_for
from sidecar.proxy.chunked import encode_chunks, encode_end, payload_of

PATH = b"/v2/models/m/infer"
SETTINGS = PayloadSettings()
BODY = inference([[1.0, 2.0]])


class CountingCodec:
    """Keeps the bodies it was given, and reads those that begin with `{`."""

    def __init__(self):
        self.bodies = []

    def read_request(self, body):
        self.bodies.append(body)
        if body.data != b"{}" and not body.content_encoding:
            raise Undecodable(Reason.NOT_JSON, "")
        return Inputs((), ())

    def read_response(self, body, inputs=None):
        self.read_request(body)
        return Outputs()


def reader(codec=None):
    codec = codec or codec_for(SETTINGS, max_bytes=100_000, names=("a", "b"))
    return BodyReader(SETTINGS, codec, payload_of)


def request(body, fields="", **more):
    head = f"POST {PATH.decode()} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode()
    return Request(head + body, len(head), PATH, **more)


def answered(body, fields="", capture=None):
    head = f"HTTP/1.1 200 OK\r\n{fields}".encode()
    return Ended(request(BODY), None, 0, 1, 200, head, body, 0, 1, capture=capture)


def rows(inputs):
    return [list(row) for row in inputs.rows]


@pytest.mark.parametrize("body", [b"", b"{", b"}{", b"[}", b'"a"', b"1", b" {}", b"{}\n"])
def test_what_does_not_look_like_json(body):
    assert not looks_like_json(body)


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"a": [1]}'])
def test_what_does(body):
    assert looks_like_json(body)


def test_a_plain_json_body_is_read_without_a_look_at_the_head():
    codec = CountingCodec()
    fields = "Content-Type: text/csv\r\nContent-Encoding: br\r\n"
    reader(codec).inputs(request(b"{}", fields))
    assert codec.bodies == [Body(b"{}", PATH)]


def test_what_fails_as_json_is_read_again_as_its_head_says():
    codec = CountingCodec()
    reader(codec).inputs(request(b"{ }", "Content-Encoding: gzip\r\n"))
    assert [body.content_encoding for body in codec.bodies] == [b"", b"gzip"]


@pytest.mark.parametrize("fields", ["", "Content-Type: application/json; charset=utf-8\r\n"])
def test_json_that_is_none_is_tried_once_when_the_head_has_nothing_to_add(fields):
    codec = CountingCodec()
    with pytest.raises(Undecodable):
        reader(codec).inputs(request(b"{ }", fields))
    assert len(codec.bodies) == 1


def test_compressed_requests_and_answers_are_read():
    one = reader()
    found = one.inputs(request(gzip.compress(BODY), "Content-Encoding: gzip\r\n"))
    assert rows(found) == [[1.0, 2.0]]
    answer = answered(gzip.compress(probabilities(0.9)), "content-encoding: gzip\r\n")
    assert one.outputs(answer, found).scores == [0.9]


def test_binary_tensors_are_found_by_the_length_of_the_json_before_them():
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP64"}
    document = {"inputs": [{**tensor, "parameters": {"binary_data_size": 16}}]}
    text = json.dumps(document).encode()
    body = text + struct.pack("<2d", 1.5, 2.5)
    fields = f"Inference-Header-Content-Length: {len(text)}\r\n"
    assert rows(reader().inputs(request(body, fields))) == [[1.5, 2.5]]
    # Its last byte may be a brace by chance: it is then tried as JSON first.
    body = text + struct.pack("<2d", 1.5, 2.5)[:-1] + b"}"
    assert rows(reader().inputs(request(body, fields)))[0][0] == 1.5


@pytest.mark.parametrize("length", ["x", "-1", "9" * 30, "", "1_0"])
def test_a_length_of_json_that_is_none_is_none(length):
    with pytest.raises(Undecodable):
        reader().inputs(request(b"\x00", f"Inference-Header-Content-Length: {length}\r\n"))


def test_chunked_bodies_lose_their_framing():
    framed = encode_chunks([BODY[:10], BODY[10:]]) + encode_end([b"X: 1"])
    assert rows(reader().inputs(request(framed, chunked=True))) == [[1.0, 2.0]]


def test_bodies_in_pieces_are_put_together():
    pieces = Pieces(Room(10_000), 10_000)
    for at in range(0, len(BODY), 7):
        pieces.add(BODY[at : at + 7])
    assert rows(reader().inputs(request(b"", pieces=pieces))) == [[1.0, 2.0]]
    capture = Capture(Room(10_000), 10_000, clock_ns=lambda: 0, spend=lambda _: None)
    for byte in probabilities(0.9):
        capture.take_answer(bytes([byte]))
    outputs = reader().outputs(answered(b"", capture=capture), Inputs((), [[1.0, 2.0]]))
    assert outputs.scores == [0.9]


def test_what_was_not_kept_or_never_arrived_says_why():
    pieces = Pieces(Room(10_000), 5)
    pieces.add(BODY)
    for lost, reason in (
        (request(b"", pieces=pieces), Reason.TOO_LARGE),
        (request(BODY[:10], complete=False), Reason.INCOMPLETE),
        (request(BODY, unread=Reason.TOO_DEEP), Reason.TOO_DEEP),
    ):
        with pytest.raises(Undecodable) as caught:
            reader().inputs(lost)
        assert caught.value.reason is reason


@pytest.mark.parametrize(("fields", "is_one"), [
    (b"Content-Type: text/event-stream\r\n", True),
    (b"content-type: Text/Event-Stream; charset=utf-8\r\n", True),
    (b"Content-Type: application/json\r\n", False),
    (b"", False),
])  # fmt: skip
def test_streams_of_events_are_known_by_their_media_type(fields, is_one):
    assert is_event_stream(b"HTTP/1.1 200 OK\r\n" + fields) is is_one


def test_only_streams_that_somebody_can_read_get_a_reader():
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    assert reader().stream(head, 0) is not None
    assert reader().stream(head + b"Content-Encoding: gzip\r\n", 0) is None
