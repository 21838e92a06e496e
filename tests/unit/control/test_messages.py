"""Frames on the control socket."""

from __future__ import annotations

import pytest

from sidecar.control.messages import (
    LENGTH_BYTES,
    LONGEST_FRAME_BYTES,
    Ack,
    FrameError,
    Frames,
    FromWorker,
    Hello,
    Install,
    frame,
)

SENT = [Hello(worker=1, pid=42), Ack(version=3), Ack(version=4, error="no")]
BYTES = b"".join(map(frame, SENT))


@pytest.mark.parametrize("size", [1, 2, 5, 7, len(BYTES)])
def test_messages_arrive_whole_however_their_bytes_are_split(size):
    frames = Frames(FromWorker)
    received = [
        message
        for place in range(0, len(BYTES), size)
        for message in frames.feed(BYTES[place : place + size])
    ]
    assert received == SENT


def test_an_update_arrives_as_it_was_sent(start):
    install = Install(update=start(a=10, b=20).update())
    assert list(Frames(Install).feed(frame(install))) == [install]


def test_a_frame_that_claims_too_much_is_an_error_before_it_is_read():
    head = (LONGEST_FRAME_BYTES + 1).to_bytes(LENGTH_BYTES, "big")
    with pytest.raises(FrameError, match="claims"):
        list(Frames(FromWorker).feed(head))


@pytest.mark.parametrize(
    "body",
    [b"", b"\xc1", b"\x80", b"\x81\xa4type\xa4nope"],
)
def test_bytes_that_are_no_message_are_an_error(body):
    with pytest.raises(FrameError):
        list(Frames(FromWorker).feed(len(body).to_bytes(LENGTH_BYTES, "big") + body))


def test_a_message_of_the_other_direction_is_an_error():
    with pytest.raises(FrameError):
        list(Frames(Install).feed(frame(Hello(worker=0, pid=1))))
