"""Names for requests and spans, and the edits that shadows get."""

import random
import time
import uuid

import pytest

from sidecar.proxy.forwarding import HeaderRewrite, Hop, Ids, uuid7


def test_request_ids_are_uuids_of_version_7_with_the_time_in_front():
    before = time.time_ns() // 1_000_000
    text = uuid7(random.Random(1).getrandbits)
    after = time.time_ns() // 1_000_000
    parsed = uuid.UUID(text.decode())
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert str(parsed).encode() == text
    assert before <= parsed.int >> 80 <= after


@pytest.mark.parametrize("bits", [0, 2**74 - 1])
def test_version_and_variant_stand_whatever_the_random_bits(bits):
    parsed = uuid.UUID(uuid7(lambda _: bits).decode())
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)


def test_request_ids_do_not_repeat():
    ids = Ids(random.Random(2).getrandbits)
    assert len({ids.uuid7() for _ in range(10_000)}) == 10_000


def test_span_ids_are_sixteen_digits_and_do_not_repeat():
    ids = Ids(random.Random(3).getrandbits)
    spans = [ids.span() for _ in range(10_000)]
    assert len(set(spans)) == 10_000
    assert all(len(span) == 16 and int(span, 16) for span in spans)


def test_a_hop_tells_the_clients_address_as_ascii():
    assert Hop(peer="2001:db8::1", tls=True).fresh == (
        b"X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: https\r\n"
        b"Via: 1.1 sidecar\r\nX-Forwarded-Host: "
    )


HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-a: 2\r\nX-AB: 3\r\nContent-Length: 2\r\n\r\n"


def lines_of(head):
    assert head.endswith(b"\r\n\r\n")
    return head[:-4].split(b"\r\n")


def test_set_fields_replace_all_of_that_name_and_no_other():
    edited = HeaderRewrite(set_fields={"X-a": "9"}, remove=()).apply(HEAD)
    assert [one for one in lines_of(edited) if one.lower().startswith(b"x-a")] == [
        b"X-AB: 3",
        b"X-a: 9",
    ]


def test_removed_fields_are_gone_and_no_other():
    edited = HeaderRewrite(set_fields={}, remove=("X-A",)).apply(HEAD)
    assert lines_of(edited) == [
        b"POST / HTTP/1.1",
        b"Host: a",
        b"X-AB: 3",
        b"Content-Length: 2",
    ]
