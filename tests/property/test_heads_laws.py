"""Forwarded heads beside a forwarder that is too slow and too simple to be wrong.

The product knows several ways to read a head, fast ones for what is usual. Whichever it takes, a
model must receive what the reference says, which looks at one line after the other.
"""

from __future__ import annotations

import random
from collections import defaultdict

import h11
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.config.settings import Limits
from sidecar.errors import ClientError
from sidecar.proxy.forwarding import Hop, Ids, request_id, upstream_head
from sidecar.proxy.head import RequestParser

WATCHED = frozenset({b"x-user", b"cookie", b"x-sidecar-model", b"via"})
HOP = Hop(peer="192.0.2.9", tls=False)
ENDS_HERE = {
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"te",
    b"upgrade",
    b"http2-settings",
    b"x-sidecar-shadow",
    b"expect",
    b"transfer-encoding",
}
# What Connection cannot remove: it frames, routes, or is written anew.
KEPT_WHATEVER_CONNECTION_SAYS = {
    b"host",
    b"content-length",
    b"x-request-id",
    b"traceparent",
    b"tracestate",
    b"via",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-host",
}
TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

Field = tuple[bytes, bytes]


def field(name: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[Field]:
    """A field in some spelling of its name."""
    spelled = st.sampled_from([name, name.title(), name.upper(), name.capitalize()])
    return st.tuples(spelled.map(str.encode), values.map(str.encode))


WORDS = st.text("abc-./:=XYZ 019\t", max_size=10).map(str.strip)
ORDINARY = st.one_of(
    field("accept", WORDS),
    field("x-a", WORDS),
    field("x-b", WORDS),
    field("content-type", WORDS),
    field("x-user", WORDS),
    field("cookie", st.sampled_from(["a=1", "b=2; c=3"])),
    field("connection-x", WORDS),
    field("hos", WORDS),
    field("hosts", WORDS),
    field("x", WORDS),
    field("x-forwarded", WORDS),
)
SPECIAL = st.one_of(
    field(
        "connection",
        st.sampled_from(
            ["close", "keep-alive", "Keep-Alive", "x-a", "x-b, close", "host,x-user", "", "via, te"]
        ),
    ),
    field("keep-alive", WORDS),
    field("te", WORDS),
    field("proxy-authorization", WORDS),
    field("x-sidecar-shadow", WORDS),
    field("x-sidecar-model", WORDS),
    field("via", st.sampled_from(["1.1 one", "1.0 two, 1.1 three"])),
    field("x-forwarded-for", st.sampled_from(["192.0.2.1", "192.0.2.1, 192.0.2.2"])),
    field("x-forwarded-proto", st.just("https")),
    field("x-forwarded-host", st.just("shop")),
    field("x-request-id", st.sampled_from(["id-1", "id 2", ""])),
    field("traceparent", st.sampled_from([TRACE.decode(), "00-bad"])),
    field("tracestate", st.sampled_from(["a=1", "b=2"])),
)
SPACE = st.sampled_from([b"", b" ", b" ", b" ", b"  ", b"\t"])


@st.composite
def heads(draw: st.DrawFn) -> tuple[bytes, list[Field], bytes]:
    """A valid head, its fields, and its minor version."""
    fields = draw(st.lists(st.one_of(ORDINARY, ORDINARY, SPECIAL), max_size=8))
    minor = draw(st.sampled_from([b"1", b"1", b"0"]))
    host = draw(field("host", st.sampled_from(["a", "model.example:8080", "[::1]"])))
    fields.insert(draw(st.integers(0, len(fields))), host)
    if draw(st.booleans()):
        length = draw(field("content-length", st.sampled_from(["0", "7", "007"])))
        fields.insert(draw(st.integers(0, len(fields))), length)
    lines = [name + b":" + draw(SPACE) + value + draw(SPACE) for name, value in fields]
    raw = b"\r\n".join([b"POST /x?y HTTP/1." + minor, *lines, b"", b""])
    return raw, fields, minor


def reference(fields: list[Field], minor: bytes) -> dict[bytes, list[bytes]]:
    """What a model must receive, by lower-case name; made values are left out."""
    values: dict[bytes, list[bytes]] = defaultdict(list)
    for name, value in fields:
        values[name.lower()].append(value)
    host = values[b"host"][0]
    named = {
        token.strip() for value in values[b"connection"] for token in value.lower().split(b",")
    }
    for name in list(values):
        if name in ENDS_HERE or (name in named and name not in KEPT_WHATEVER_CONNECTION_SAYS):
            del values[name]
    forwarded_for = [one for value in values[b"x-forwarded-for"] if (one := value)]
    values[b"x-forwarded-for"] = [b", ".join([*forwarded_for, b"192.0.2.9"])]
    values[b"via"] = [b", ".join([*values[b"via"], b"1.1 sidecar"])]
    values[b"x-forwarded-proto"] = [b", ".join(values[b"x-forwarded-proto"]) or b"http"]
    values[b"x-forwarded-host"] = [b", ".join(values[b"x-forwarded-host"]) or host]
    if b"content-length" in values:
        values[b"content-length"] = [b"%d" % int(values[b"content-length"][0])]
    if values[b"x-request-id"] != [b"id-1"]:
        values.pop(b"x-request-id", None)  # made
    if values[b"traceparent"] != [TRACE]:
        values.pop(b"tracestate", None)
        values.pop(b"traceparent", None)  # made
    return {name: found for name, found in values.items() if found}


def forwarded(raw: bytes) -> bytes:
    parser = RequestParser(WATCHED, limits=Limits())
    ids = Ids(random.Random(7).getrandbits)
    for _ in range(2):  # a head of a shape that was seen before may be read another way
        head = parser.parse(raw)
        identity = request_id(head, ids)
        data = upstream_head(head, HOP, request_id=identity, default_host=b"d", ids=ids)
    return data


@given(heads())
@example((b"GET / HTTP/1.1\r\nhost: a \r\n\r\n", [(b"host", b"a")], b"1"))
@example(
    (
        b"GET / HTTP/1.1\r\nhost: a\r\ntraceparent:  " + TRACE + b"\r\n\r\n",
        [(b"host", b"a"), (b"traceparent", TRACE)],
        b"1",
    )
)
def test_every_head_arrives_as_the_reference_says(case: tuple[bytes, list[Field], bytes]) -> None:
    raw, fields, minor = case
    data = forwarded(raw)
    start, *lines = data.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert start == raw.split(b"\r\n")[0][:-1] + b"1"
    got: dict[bytes, list[bytes]] = defaultdict(list)
    for line in lines:
        name, _, value = line.partition(b":")
        got[name.lower()].append(value.strip())
    expected = reference(fields, minor)
    trace = got[b"traceparent"]
    assert len(trace) == len(got[b"x-request-id"]) == 1
    if b"traceparent" in expected:
        assert trace[0][:35] == TRACE[:35]
        assert trace[0] != TRACE
        del expected[b"traceparent"]
    del got[b"traceparent"]
    if b"x-request-id" not in expected:
        assert got.pop(b"x-request-id")[0][14:15] == b"7"  # a UUIDv7
    assert got == expected


@given(heads())
def test_what_is_forwarded_is_well_formed_to_another_parser(
    case: tuple[bytes, list[Field], bytes],
) -> None:
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(forwarded(case[0]))
    assert isinstance(reader.next_event(), h11.Request)


@given(heads(), st.integers(0, 10_000), st.sampled_from([b"\r", b"\n", b"\0", b"\x0b", b"\x7f"]))
def test_a_control_anywhere_in_a_head_is_refused(
    case: tuple[bytes, list[Field], bytes], place: int, control: bytes
) -> None:
    raw = case[0]
    at = place % (len(raw) - 4)
    if raw[at - 1 : at + 1] == b"\r\n" or raw[at : at + 1] == b"\r":
        return  # a CR before CRLF, or what would end the head early
    try:
        forwarded(raw[:at] + control + raw[at:])
    except ClientError:
        return
    raise AssertionError("it was forwarded")


@given(heads())
@example(
    (
        b"GET / HTTP/1.1\r\nhost: a\r\nx-user: 1\r\nX-User: 2\r\n\r\n",
        [(b"host", b"a"), (b"x-user", b"1"), (b"X-User", b"2")],
        b"1",
    )
)
def test_watched_fields_are_seen_as_one_value_each(
    case: tuple[bytes, list[Field], bytes],
) -> None:
    raw, fields, _ = case
    head = RequestParser(WATCHED, limits=Limits()).parse(raw)
    expected: dict[bytes, bytes] = {}
    for name, value in fields:
        lower = name.lower()
        if lower in WATCHED:
            joint = b"; " if lower == b"cookie" else b", "
            expected[lower] = expected[lower] + joint + value if lower in expected else value
    assert head.watched == expected
