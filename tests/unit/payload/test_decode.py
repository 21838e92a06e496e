"""From bytes to a document: codings undone within bounds, numbers and nesting of any size."""

import gzip
import json
import math
import time
import tracemalloc
import zlib
from contextlib import suppress

import pytest

from sidecar.payload import Body, Reason, Undecodable
from sidecar.payload.decode import content_of, document_of, opened

KIB = 1024
JSON = b'{"a": [1, 2, 3]}'


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def reason_of(data: bytes, encoding: bytes = b"", max_bytes: int = KIB) -> Reason:
    with pytest.raises(Undecodable) as refused:
        opened(Body(data, content_encoding=encoding), max_bytes)
    return refused.value.reason


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        (b"", JSON),
        (b"identity", JSON),
        (b"gzip", gzip.compress(JSON, mtime=0)),
        (b"GZip", gzip.compress(JSON, mtime=0)),
        (b"x-gzip", gzip.compress(JSON, mtime=0)),
        (b"deflate", zlib.compress(JSON)),
        (b"deflate", raw_deflate(JSON)),
        (b"gzip", gzip.compress(JSON[:5], mtime=0) + gzip.compress(JSON[5:], mtime=0)),
        (b"deflate, gzip", gzip.compress(zlib.compress(JSON), mtime=0)),
        (b" gzip , identity ,", gzip.compress(JSON, mtime=0)),
    ],
)
def test_content_codings_are_undone(encoding, data):
    body = Body(data, content_encoding=encoding)

    assert bytes(content_of(body, KIB)) == JSON
    assert opened(body, KIB) == ({"a": [1, 2, 3]}, b"")


@pytest.mark.parametrize(
    ("encoding", "data", "reason"),
    [
        (b"br", JSON, Reason.ENCODING),
        (b"zstd", JSON, Reason.ENCODING),
        (b"gzip", JSON, Reason.ENCODING),
        (b"gzip", b"", Reason.ENCODING),
        (b"gzip", gzip.compress(JSON, mtime=0)[:-9], Reason.ENCODING),
        (b"gzip", gzip.compress(JSON, mtime=0)[:-1] + b"x", Reason.ENCODING),
        (b"gzip", gzip.compress(JSON, mtime=0) + b"garbage", Reason.ENCODING),
        (b"deflate", JSON, Reason.ENCODING),
        (b"deflate", zlib.compress(JSON)[:-5], Reason.ENCODING),
        (b"gzip, gzip, gzip", JSON, Reason.ENCODING),
        (b"gzip", gzip.compress(b"", mtime=0) * 1000, Reason.TOO_LARGE),
        (b"gzip", gzip.compress(b"", mtime=0) * 50, Reason.ENCODING),
    ],
)
def test_what_cannot_be_undone_is_told_by_its_reason(encoding, data, reason):
    assert reason_of(data, encoding) is reason


def test_a_body_of_exactly_the_bound_is_read_and_one_more_byte_is_not():
    text = b'"' + b"x" * (KIB - 2) + b'"'

    for encoding, data in ((b"", text), (b"gzip", gzip.compress(text))):
        assert opened(Body(data, content_encoding=encoding), KIB)[0] == "x" * (KIB - 2)
        assert reason_of(data, encoding, KIB - 1) is Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        (b"gzip", gzip.compress),
        (b"gzip, gzip", lambda data: gzip.compress(gzip.compress(data))),
        (b"deflate", zlib.compress),
        (b"deflate", raw_deflate),
    ],
    ids=["gzip", "gzip in gzip", "zlib", "raw"],
)
def test_a_bomb_never_becomes_larger_than_the_bound(encoding, compress):
    bomb = compress(bytes(64 << 20))

    tracemalloc.start()
    try:
        assert reason_of(bomb, encoding, 1 << 20) is Reason.TOO_LARGE
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"[NaN]", [None]),
        (b"[Infinity, -Infinity]", [math.inf, -math.inf]),
        (b'{"a": NaN, "b": "NaN"}', {"a": None, "b": "NaN"}),
        (b"\xef\xbb\xbf[1]", [1]),
        (b"[1e999, -1e999]", [math.inf, -math.inf]),
        (b"[NaN, 123456789012345678901234567890]", [None, 1.2345678901234568e29]),
        (b"[NaN, 18446744073709551615]", [None, 18446744073709551615.0]),
        (b"[NaN, 9007199254740993]", [None, 9007199254740993]),
        ('[NaN, "\\ud83d\\ude00é"]'.encode(), [None, "😀é"]),
    ],
)
def test_what_servers_send_beyond_json_is_read(text, value):
    assert document_of(text) == value


def test_integers_keep_their_kind_in_both_readings():
    assert [type(number) for number in document_of(b"[1, 2.0, true]")] == [int, float, bool]
    assert [type(number) for number in document_of(b"[1, 2.0, true, NaN]")[:3]] == [
        int,
        float,
        bool,
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[1,]",
        b"[NaN",
        b"[nan]",
        b"[Infinit]",
        b"[NaN] x",
        b"[1e999]]",
        b"\xff",
        b"[NaN, \xff]",
        b'["\\ud800"]',
        b'[NaN, "\\ud800"]',
        b'[NaN, "\x00"]',
        b"\xff\xfe[\x001\x00]\x00",
        b"\xef\xbb\xbf\xef\xbb\xbf[1]",
    ],
)
def test_what_is_no_json_is_told_so(text):
    with pytest.raises(Undecodable) as refused:
        document_of(text)
    assert refused.value.reason is Reason.NOT_JSON


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * 1025 + b"]" * 1025,
        b"[" * 300 + b"NaN" + b"]" * 300,
        b'["' + b"]" * 500 + b'", ' + b"[" * 400 + b"NaN",
    ],
)
def test_nesting_of_any_depth_is_too_deep_and_no_recursion(text):
    with pytest.raises(Undecodable) as refused:
        document_of(text)
    assert refused.value.reason is Reason.TOO_DEEP


def test_brackets_in_texts_do_not_nest():
    with pytest.raises(Undecodable) as refused:
        document_of(b'["' + b'[\\"' * 400 + b'", oops]')
    assert refused.value.reason is Reason.NOT_JSON


def test_the_second_reading_knows_its_own_place_on_the_stack():
    def from_deep_down(levels: int) -> object:
        return (
            from_deep_down(levels - 1) if levels else document_of(b"[" * 250 + b"NaN" + b"]" * 250)
        )

    with pytest.raises(Undecodable) as refused:
        from_deep_down(800)
    assert refused.value.reason is Reason.TOO_DEEP


@pytest.mark.parametrize(
    "number",
    ["1" * 100_000, "-" + "1" * 100_000, "1" * 100_000 + ".5", "1" + "0" * 99_999 + "e-99999"],
)
def test_a_number_of_a_hundred_thousand_digits_is_a_float(number):
    (value,) = document_of(f"[{number}]".encode())

    assert type(value) is float
    assert value == float(number)


def seconds_to_refuse_or_read(text: bytes) -> float:
    """The least of several readings, in time of the processor."""
    times = []
    for _ in range(5):
        started = time.process_time()
        with suppress(Undecodable):
            document_of(text)
        times.append(time.process_time() - started)
    return min(times)


@pytest.mark.parametrize(
    "hostile",
    [
        lambda size: b"[" + b"1" * size + b"]",
        lambda size: b'NaN"' + b'\\"' * size,
        lambda size: b"[NaN," + b'"' + b"\\" * size,
        lambda size: b'{"a":' * size,
    ],
    ids=["digits", "quotes that end nothing", "backslashes", "nesting"],
)
def test_sixteen_times_the_length_is_nowhere_near_its_square_in_time(hostile):
    short, long = (seconds_to_refuse_or_read(hostile(size)) for size in (50_000, 800_000))

    assert long < 100 * short + 0.01  # in proportion it is 16, in square 256


@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_what_follows_the_json_is_the_tail(kind):
    document, tail = opened(Body(kind(JSON + b"\x01\x02"), json_bytes=len(JSON)), KIB)

    assert document == json.loads(JSON)
    assert bytes(tail) == b"\x01\x02"


@pytest.mark.parametrize("length", [-1, len(JSON) + 1])
def test_a_json_length_that_cannot_be_is_refused(length):
    with pytest.raises(Undecodable) as refused:
        opened(Body(JSON, json_bytes=length), KIB)
    assert refused.value.reason is Reason.SHAPE


def test_details_never_quote_the_body():
    for text in (b'{"secret": oops', b'[NaN, "secret', b"secret"):
        with pytest.raises(Undecodable) as refused:
            document_of(text)
        assert "secret" not in refused.value.detail
