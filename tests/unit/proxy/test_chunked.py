"""The chunked coding: what is taken, what is refused, what it may cost."""

import time

import pytest

from sidecar.proxy.chunked import (
    FREE_CHUNKS,
    FREE_FRAMING_BYTES,
    MAX_LINE_BYTES,
    MAX_TRAILER_BYTES,
    MIN_MEAN_CHUNK_BYTES,
    ChunkedDecoder,
    ChunkedError,
    encode_chunks,
    encode_end,
)


def decoded(*reads: bytes) -> tuple[bytes, ChunkedDecoder, bytes]:
    """The payload, the decoder, and what followed the body."""
    decoder = ChunkedDecoder()
    payload, rest = [], b""
    for data in reads:
        assert not decoder.complete
        pieces, rest = decoder.feed(data)
        payload += pieces
    return b"".join(payload), decoder, rest


def test_a_chunk_that_arrives_whole_is_one_piece():
    pieces, rest = ChunkedDecoder().feed(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
    assert pieces == [b"hello", b" world"]
    assert rest == b""


def test_what_follows_the_body_is_given_back_to_the_byte():
    payload, decoder, rest = decoded(b"1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n")
    assert (payload, decoder.complete, rest) == (b"x", True, b"GET / HTTP/1.1\r\n")


def test_a_body_is_complete_only_with_its_last_empty_line():
    body = b"5\r\nhello\r\n0\r\nX-A: 1\r\n\r\n"
    for cut in range(len(body)):
        assert not decoded(body[:cut])[1].complete if cut else True
    assert decoded(body)[1].complete


def test_announced_bytes_are_counted_before_they_arrive():
    decoder = ChunkedDecoder()
    decoder.feed(b"ffffffff\r\n")
    assert decoder.payload_bytes == 0xFFFFFFFF


def test_trailers_are_kept_as_fields_that_may_be_trailers():
    _, decoder, _ = decoded(
        b"0\r\nX-Sum: \t 12 \t\r\nEmpty:\r\nHOST: evil\r\nContent-Length: 3\r\n"
        b"Transfer-Encoding: chunked\r\nset-cookie: a=b\r\nX-Sidecar-Shadow: 1\r\n\r\n"
    )
    assert encode_end(decoder.trailers) == b"0\r\nX-Sum: 12\r\nEmpty: \r\n\r\n"


def test_encoding_is_undone_by_decoding():
    pieces = [b"a", b"b" * 70_000, b"\r\n0\r\n\r\n"]
    payload, decoder, rest = decoded(encode_chunks(pieces) + encode_end([]))
    assert (payload, decoder.complete, rest) == (b"".join(pieces), True, b"")


@pytest.mark.parametrize(
    "line",
    [
        b"5;name",
        b"5;name=value",
        b'5;name="a;b\\"c\t\xe9"',
        b"5; spaced=1;flag",
        b"0005",
        b"00000000000000F",
    ],
)
def test_valid_size_lines(line):
    size = int(line.split(b";")[0], 16)
    payload, decoder, _ = decoded(line + b"\r\n" + b"x" * size + b"\r\n0\r\n\r\n")
    assert (len(payload), decoder.complete) == (size, True)


@pytest.mark.parametrize(
    "body",
    [
        b"5\nhello\r\n0\r\n\r\n",  # bare LF behind the size
        b"5\rhello\r\n0\r\n\r\n",
        b"5\r\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",  # bare LF behind the data
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello!\r\n0\r\n\r\n",  # more data than announced
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5_\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b";x\r\nhello\r\n0\r\n\r\n",
        b"5;\r\nhello\r\n0\r\n\r\n",
        b"5;a=\r\nhello\r\n0\r\n\r\n",
        b'5;a="b\r\nhello\r\n0\r\n\r\n',
        b'5;a="b\nc"\r\nhello\r\n0\r\n\r\n',
        b"5;a=b\0\r\nhello\r\n0\r\n\r\n",
        b"10000000000000000\r\n",  # 2 ** 64
        b"8000000000000000\r\n",  # 2 ** 63
        b"0\r\nX-A : 1\r\n\r\n",
        b"0\r\n X-A: 1\r\n\r\n",
        b"0\r\nX-A: 1\n\r\n",
        b"0\r\nX-A: a\0b\r\n\r\n",
        b"0\r\nX-A: 1\r\n folded\r\n\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n\n",
        b"0\r\n\rX",
    ],
)
def test_malformed_bodies_are_refused_whole_and_byte_by_byte(body):
    with pytest.raises(ChunkedError):
        ChunkedDecoder().feed(body)
    decoder = ChunkedDecoder()
    with pytest.raises(ChunkedError):
        [decoder.feed(body[at : at + 1]) for at in range(len(body))]


def test_what_cannot_become_valid_is_refused_before_its_line_ends():
    for hopeless in (b"5\rx", b"x" * (MAX_LINE_BYTES + 1), b"5;" + b"x" * MAX_LINE_BYTES):
        with pytest.raises(ChunkedError):
            ChunkedDecoder().feed(hopeless)


# -- cost ------------------------------------------------------------------------------------------


def test_a_body_may_have_many_small_chunks():
    assert decoded(b"1\r\nx\r\n" * FREE_CHUNKS + b"0\r\n\r\n")[1].complete


def test_a_body_may_have_any_number_of_chunks_of_a_fair_size():
    chunk = b"%x\r\n%b\r\n" % (MIN_MEAN_CHUNK_BYTES, b"x" * MIN_MEAN_CHUNK_BYTES)
    assert decoded(chunk * 5 * FREE_CHUNKS + b"0\r\n\r\n")[1].complete


def parts_taken(decoder: ChunkedDecoder, part: bytes) -> int:
    """How often the part is taken before the body is refused."""
    for taken in range(1_000_000):
        try:
            decoder.feed(part)
        except ChunkedError:
            return taken
    raise AssertionError("it was never refused")


def test_a_million_one_byte_chunks_are_refused_when_a_hundredth_is_read():
    assert parts_taken(ChunkedDecoder(), b"1\r\nx\r\n") <= 10_000


def test_an_endless_extension_is_refused():
    decoder = ChunkedDecoder()
    decoder.feed(b"5")
    assert parts_taken(decoder, b";a=b") * 4 <= MAX_LINE_BYTES


def test_extensions_out_of_proportion_are_refused():
    chunk = b"10;" + b"a" * 1000 + b"\r\n" + b"x" * 16 + b"\r\n"
    assert parts_taken(ChunkedDecoder(), chunk) <= FREE_FRAMING_BYTES // 1000 + 1


def test_an_endless_trailer_section_is_refused():
    decoder = ChunkedDecoder()
    decoder.feed(b"0\r\n")
    assert parts_taken(decoder, b"X-A: 1\r\n") * 8 <= MAX_TRAILER_BYTES


@pytest.mark.parametrize(
    "line",
    [
        b"5;" + b"a" * 4000,
        b"5" + b";a" * 2000,
        b'5;a="' + b"a" * 4000,
        b'5;a="' + b"\\a" * 2000,
        b'5;a="' + b'\\"' * 2000,
        b"0\r\nX-A:" + b" " * 4000,
        b"0\r\nX-A:" + b" a" * 2000,
        b"0\r\nX-A: a" + b"\t " * 2000,
        b"0\r\n" + b"a" * 4000,
    ],
)
def test_an_incomplete_line_costs_no_more_to_look_at_than_a_whole_one(line):
    """It is looked at again with every read: a pattern that backtracks would hold the loop."""

    def cost(data):
        began = time.process_time()
        for _ in range(100):
            ChunkedDecoder().feed(data)
        return time.process_time() - began

    whole = b"5;" + b"a" * 4000 + b"\r\nhello\r\n0\r\n\r\n"
    assert cost(line) < 20 * cost(whole)
