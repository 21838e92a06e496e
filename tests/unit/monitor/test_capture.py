"""Bodies in pieces: kept within bounds, and what they took is free again afterwards."""

import pytest

from sidecar.monitor.capture import Capture, Loss, Pieces, Room
from sidecar.payload import Reason


class FakeReader:
    def __init__(self, fails=False):
        self.fed = []
        self.fails = fails

    def feed(self, data, now_ns):
        if self.fails:
            raise RuntimeError("a bug")
        self.fed.append((data, now_ns))


def captured(room, most=100, spent=None):
    clock = iter(range(0, 10_000, 7))
    return Capture(
        room, most, clock_ns=lambda: next(clock), spend=([] if spent is None else spent).append
    )


def test_pieces_are_kept_in_order_and_by_reference():
    parts = [b"one", b"two", b"three"]
    pieces = Pieces(Room(100), 100)
    for part in parts:
        pieces.add(part)
    assert pieces.data == b"onetwothree"
    assert all(kept is part for kept, part in zip(pieces.parts, parts, strict=True))


def test_a_single_piece_is_not_copied():
    pieces = Pieces(Room(100), 100)
    part = b"x" * 50
    pieces.add(part)
    assert pieces.data is part


@pytest.mark.parametrize(("room", "most", "loss"), [
    (1000, 10, Reason.TOO_LARGE),
    (10, 1000, Loss.NO_ROOM),
])  # fmt: skip
def test_what_does_not_fit_is_forgotten_whole_and_takes_no_room(room, most, loss):
    shared = Room(room)
    pieces = Pieces(shared, most)
    for _ in range(5):
        pieces.add(b"12345678")
    assert pieces.loss is loss
    assert pieces.data == b""
    assert shared.left == room


def test_a_body_of_exactly_the_bound_is_kept():
    pieces = Pieces(Room(10), 10)
    pieces.add(b"0123456789")
    assert pieces.loss is None
    pieces.add(b"")
    assert pieces.loss is None


def test_the_room_is_shared_by_request_and_answer_and_given_back():
    room = Room(10)
    capture = captured(room)
    capture.begin_request(b"head").add(b"12345")
    capture.take_answer(b"123")
    assert room.left == 2
    assert capture.loss is None
    capture.take_answer(b"123")
    assert capture.loss is Loss.NO_ROOM
    capture.release()
    capture.release()
    assert room.left == 10


def test_a_body_too_large_is_a_fact_about_it_and_no_loss():
    capture = captured(Room(1000), most=5)
    capture.take_answer(b"123456")
    assert capture.answer.loss is Reason.TOO_LARGE
    assert capture.loss is None


def test_a_stream_is_read_as_it_comes_and_nothing_of_it_is_kept():
    room, spent = Room(10), []
    capture = captured(room, spent=spent)
    capture.reader = reader = FakeReader()
    for _ in range(100):
        capture.take_answer(b"data: 1\n\n")
    assert len(reader.fed) == 100
    assert room.left == 10
    assert sum(spent) == 700  # what the reading took is accounted for


def test_a_reader_that_fails_harms_nobody():
    capture = captured(Room(10))
    capture.reader = FakeReader(fails=True)
    capture.take_answer(b"data: 1\n\n")
    capture.take_answer(b"data: 2\n\n")
    assert capture.loss is Loss.BROKEN
    assert capture.reader is None
