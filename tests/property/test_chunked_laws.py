"""The chunked decoder against llhttp: same payload for whatever is valid, never more lenient."""

from __future__ import annotations

import re
from itertools import pairwise

from httptools import HttpParserError, HttpRequestParser
from hypothesis import assume, given
from hypothesis import strategies as st

from sidecar.proxy.chunked import ChunkedDecoder, ChunkedError, encode_chunks, encode_end

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
TOKENS = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=8).map(str.encode)
QUOTED = st.text("ab;,= \t", max_size=8).map(lambda text: f'"{text}"'.encode())
EXTENSIONS = st.lists(
    st.one_of(
        TOKENS.map(lambda name: b";" + name),
        st.builds(lambda name, value: b";" + name + b"=" + value, TOKENS, TOKENS | QUOTED),
    ),
    max_size=2,
).map(b"".join)
SIZES = st.sampled_from([b"%x", b"%X", b"0%x", b"000%X"])
TRAILERS = st.lists(
    st.builds(lambda name, value: b"X-%b: %b\r\n" % (name, value), TOKENS, TOKENS), max_size=3
)


@st.composite
def chunked_bodies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A valid body and its payload."""
    chunks = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
    wire = b"".join(
        draw(SIZES) % len(chunk) + draw(EXTENSIONS) + b"\r\n" + chunk + b"\r\n" for chunk in chunks
    )
    last = draw(st.sampled_from([b"0", b"000"])) + draw(EXTENSIONS) + b"\r\n"
    return wire + last + b"".join(draw(TRAILERS)) + b"\r\n", b"".join(chunks)


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data, cut at these places."""
    places = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in pairwise(places) if a < b]


def ours(reads: list[bytes]) -> tuple[bytes, bool] | None:
    """The payload and whether the body is complete; None when it is refused."""
    decoder = ChunkedDecoder()
    payload = b""
    try:
        for data in reads:
            pieces, rest = decoder.feed(data)
            assert all(pieces)
            payload += b"".join(pieces)
            if decoder.complete:
                assert rest == b"" or data is reads[-1]
                return payload, True
    except ChunkedError:
        return None
    return payload, False


class _Reader:
    def __init__(self) -> None:
        self.payload = b""
        self.complete = False

    def on_body(self, data: bytes) -> None:
        self.payload += data

    def on_message_complete(self) -> None:
        self.complete = True


def llhttps(body: bytes) -> tuple[bytes, bool] | None:
    """The same by llhttp, which reads one message only."""
    reader = _Reader()
    parser = HttpRequestParser(reader)
    parser.feed_data(HEAD)
    for at in range(len(body)):
        try:
            parser.feed_data(body[at : at + 1])
        except HttpParserError:
            return None
        if reader.complete:
            break
    return reader.payload, reader.complete


@given(chunked_bodies(), st.lists(st.integers(0, 10_000), max_size=8))
def test_any_split_of_any_valid_body_gives_its_payload(
    case: tuple[bytes, bytes], cuts: list[int]
) -> None:
    body, payload = case
    assert ours(pieces_of(body, cuts)) == (payload, True)
    assert llhttps(body) == (payload, True)


@given(chunked_bodies(), st.binary(max_size=20), st.lists(st.integers(0, 10_000), max_size=4))
def test_the_end_is_found_wherever_the_next_request_begins(
    case: tuple[bytes, bytes], behind: bytes, cuts: list[int]
) -> None:
    body, payload = case
    decoder = ChunkedDecoder()
    found = b""
    reads = pieces_of(body + behind, cuts)
    while not decoder.complete:
        pieces, rest = decoder.feed(reads.pop(0))
        found += b"".join(pieces)
    assert found == payload
    assert rest + b"".join(reads) == behind


MUTATIONS = st.sampled_from(
    [
        b"",
        b"\r",
        b"\n",
        b"\r\n",
        b" ",
        b"\t",
        b"0",
        b"5",
        b"f",
        b"x",
        b";",
        b'"',
        b"+",
        b"-",
        b"_",
        b"\0",
    ]
)


@given(chunked_bodies(), st.integers(0, 10_000), MUTATIONS, st.integers(0, 2))
def test_what_llhttp_refuses_is_refused_and_what_both_take_is_the_same(
    case: tuple[bytes, bytes], place: int, inserted: bytes, removed: int
) -> None:
    body = case[0]
    at = place % len(body)
    mutant = body[:at] + inserted + body[at + removed :]
    # RFC 9112 7.1.1 wants white space behind the semicolon read over; llhttp refuses it.
    theirs = llhttps(re.sub(rb"(?<=;)[ \t]+", b"", mutant))
    mine = ours([mutant])
    # Payload that looks like such white space was shortened for them too: no comparison.
    assume(mine is None or re.search(rb";[ \t]", mine[0]) is None)
    if theirs is None:
        assert mine is None or not mine[1]
    elif mine is not None and mine[1]:
        assert mine == theirs


@given(st.lists(st.binary(min_size=1, max_size=100), max_size=10))
def test_llhttp_reads_what_is_written(pieces: list[bytes]) -> None:
    assert llhttps(encode_chunks(pieces) + encode_end([])) == (b"".join(pieces), True)
