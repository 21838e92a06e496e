"""What a record says is what passed, field by field, and is written as `Record` is."""

import pytest
from harness.logbook_desk import ERROR, OK, WALL_NS, Desk, Head

from sidecar.config.recording import CaptureSettings
from sidecar.model import Role, StatusClass
from sidecar.records import PointerRule, RedactionRules, Why, encode


def written(desk):
    desk.logbook.catch_up()
    (record,) = desk.shelf.records
    return record


def test_a_record_says_what_is_known_of_the_exchange(desk):
    desk.enter(request_id=b"caf\xe9", failure=None)
    record = written(desk)
    assert (record.route, record.model, record.role) == ("r", "stable", Role.PRIMARY)
    assert (record.status, record.outcome, record.failure) == (200, StatusClass.SUCCESS, None)
    assert record.request_id == "caf\xe9"
    assert (record.method, record.path) == ("POST", "/v2/models/iris/infer")
    assert (record.request_bytes, record.response_bytes) == (8, 8)
    durations = (record.duration_ns, record.upstream_ns, record.first_byte_ns)
    assert durations == (5000, 4000, 4500)
    assert record.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert (record.routing_version, record.worker, record.shadow_of) == (4, 3, None)
    assert record.at_ns == 10_000_000_000 - 5000 + WALL_NS
    assert record.captured is None


def test_the_bytes_are_those_that_a_record_is_encoded_to(kernels):
    desk = Desk(kernels, capture=CaptureSettings(bodies=1.0))
    desk.enter(shadow_of="stable", failure="timeout", unread="shape")
    desk.logbook.catch_up()
    (record,) = desk.shelf.records
    assert desk.shelf.taken[0][1] == encode(record)
    assert record.shadow_of == "stable"
    assert (record.failure, record.unread) == ("timeout", "shape")


@pytest.mark.parametrize(
    ("path", "shown"),
    [(b"/a?token=secret", "/a"), (b"/a?x=1?y", "/a"), (b"/caf\xe9", "/caf\xe9"), (b"*", "*")],
)
def test_a_path_is_without_its_query(desk, path, shown):
    desk.enter(head=Head(path=path))
    assert written(desk).path == shown


def test_hostile_paths_do_not_make_memory_grow(desk):
    for number in range(3000):
        desk.enter(head=Head(path=b"/%d" % number))
    desk.enter(head=Head(path=b"/" + b"x" * 5000))
    desk.logbook.catch_up()
    known = desk.logbook._composer._known
    assert len(known) <= 1024
    assert max(map(len, known)) <= 256


def test_ids_are_version_7_rise_and_never_repeat(desk):
    for _ in range(5000):
        desk.enter()
    desk.now_ns += 3_000_000
    desk.enter()
    desk.logbook.catch_up()
    ids = [one.id for one in desk.shelf.records]
    assert len(set(ids)) == len(ids)
    assert ids == sorted(ids)
    assert all(one[14] == "7" and one[19] in "89ab" and len(one) == 36 for one in ids)


def test_a_clock_that_is_set_back_repeats_no_id(desk):
    desk.enter()
    desk.logbook.catch_up()
    desk.wall_offset_ns -= 3_600_000_000_000
    desk.enter()
    desk.logbook.catch_up()
    first, second = (one.id for one in desk.shelf.records)
    assert first < second


def test_a_failure_keeps_the_whole_request_but_what_is_secret(desk):
    head = Head(
        path=b"/infer?k=v",
        kept=b"POST /infer?k=v HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer s\r\nX-A: b\r\n",
    )
    body = b"z" * 900
    desk.enter(counter=ERROR, status=0, head=head, body=body, answer=b"")
    captured = written(desk).captured
    assert captured.why is Why.FAILED
    assert captured.request_headers == (("Host", "a"), ("X-A", "b"))
    assert captured.query == "k=v"
    assert (captured.request_body, captured.request_cut) == (body, -1)
    assert captured.response_body is None
    assert not captured.redacted


def test_a_failed_request_beyond_the_bound_is_cut_and_says_how_long_it_was(desk):
    desk.enter(counter=ERROR, status=0, body=b"z" * 5000)
    captured = written(desk).captured
    assert (len(captured.request_body), captured.request_cut) == (1000, 5000)


def test_a_body_that_was_too_large_to_be_held_leaves_its_length(desk):
    desk.enter(counter=ERROR, status=0, body=b"", request_bytes=10_000_000)
    captured = written(desk).captured
    assert (captured.request_body, captured.request_cut) == (None, 10_000_000)


def test_a_body_that_came_in_pieces_is_kept_whole(desk):
    desk.enter(counter=ERROR, status=0, body=b"", pieces=[b"ab", b"cd"], request_bytes=4)
    assert written(desk).captured.request_body == b"abcd"


def test_a_chunked_body_is_kept_without_its_chunks(desk):
    desk.enter(counter=ERROR, status=0, head=Head(chunked=True), body=b"3\r\nabc\r\n0\r\n\r\n")
    assert written(desk).captured.request_body == b"abc"


def test_a_sampled_exchange_keeps_the_fields_that_were_asked_for_and_no_others(kernels):
    capture = CaptureSettings(bodies=1.0, headers=("Content-Type", "authorization"), max_body=4)
    desk = Desk(kernels, capture=capture)
    head = Head(kept=b"POST / HTTP/1.1\r\ncontent-type: text/x\r\nX-B: c\r\nAuthorization: s3\r\n")
    desk.enter(counter=OK, head=head, body=b"abcdef", answer=b"ghijkl")
    captured = written(desk).captured
    assert captured.why is Why.SAMPLED
    assert captured.request_headers[0] == ("content-type", "text/x")
    assert "s3" not in repr(captured.request_headers)
    assert captured.query is None
    assert (captured.request_body, captured.request_cut) == (b"abcd", 6)
    assert (captured.response_body, captured.response_cut) == (b"ghij", 6)


def test_rules_are_applied_before_a_body_is_kept(kernels):
    rules = RedactionRules(pointers=(PointerRule(pointer="/card"),), query=("k",))
    desk = Desk(kernels, rules=rules)
    head = Head(path=b"/infer?k=s3cret&a=b")
    desk.enter(counter=ERROR, status=0, head=head, body=b'{"card": "4111", "a": 1}')
    captured = written(desk).captured
    assert b"4111" not in captured.request_body
    assert "s3cret" not in captured.query
    assert captured.redacted
