"""Streams of completions, read while they pass: times, tokens, and how they ended."""

import json
import math

import pytest

from sidecar.payload import (
    Outputs,
    PayloadSettings,
    Protocol,
    Reason,
    Undecodable,
    stream_reader,
)
from sidecar.payload.openai_stream import OpenAIStream

MS = 1_000_000


def event(value: object) -> bytes:
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"


def piece(text: str | None, finish: str | None = None, index: int = 0, **more: object) -> dict:
    delta = {"role": "assistant"} if text is None else {"content": text}
    choice = {"index": index, "delta": delta, "finish_reason": finish, **more}
    return {"object": "chat.completion.chunk", "choices": [choice], "usage": None}


USAGE = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 40}}


def read(*events: tuple[int, object], started_ns: int | None = 0) -> Outputs:
    """The outputs of events that arrived at these milliseconds."""
    stream = OpenAIStream(started_ns)
    for at_ms, value in events:
        stream.feed(event(value), at_ms * MS)
    return stream.finish()


def test_times_are_measured_between_pieces_of_text():
    outputs = read(
        (100, piece(None)),
        (150, piece("")),
        (200, piece("Hel")),
        (230, piece("lo")),
        (260, piece("!")),
        (300, piece(None, "stop")),
        (310, USAGE),
        (320, b"[DONE]"),
    )

    assert outputs == Outputs(
        ("stop",),
        measures={
            "prompt_tokens": 5.0,
            "completion_tokens": 40.0,
            "time_to_first_token_ns": 200.0 * MS,
            "inter_token_ns": 30.0 * MS,
        },
    )


def test_times_are_from_the_start_of_the_request():
    measures = read((200, piece("x", "stop")), started_ns=150 * MS).measures

    assert measures["time_to_first_token_ns"] == 50 * MS
    assert "inter_token_ns" not in measures


def test_without_a_start_no_time_is_measured():
    assert read((200, piece("x")), started_ns=None).measures == {
        "completion_tokens": 1.0,
        "usage_missing": 1.0,
    }


def test_without_a_piece_of_text_there_is_no_time_to_it():
    measures = read((200, piece(None, "tool_calls")), (210, USAGE)).measures

    assert measures == {"prompt_tokens": 5.0, "completion_tokens": 40.0}


def test_a_last_event_whose_line_never_ended_came_with_its_last_bytes():
    stream = OpenAIStream(0)
    stream.feed(event(piece("a")), 10 * MS)
    stream.feed(event(piece("b", "stop"))[:20], 20 * MS)
    stream.feed(event(piece("b", "stop"))[20:].rstrip(), 30 * MS)

    outputs = stream.finish()

    assert outputs.predictions == ("stop",)
    assert outputs.measures["inter_token_ns"] == 20 * MS


def test_a_stream_that_breaks_has_its_pieces_counted_and_says_so():
    outputs = read((1, piece("a")), (2, piece("b")))

    assert outputs.predictions == (None,)
    assert outputs.measures["completion_tokens"] == 2
    assert outputs.measures["usage_missing"] == 1


def test_plain_completions_stream_in_a_form_of_their_own():
    chunk = {"choices": [{"index": 0, "text": "a", "finish_reason": "length"}]}

    outputs = read((5, chunk))

    assert outputs.predictions == ("length",)
    assert outputs.measures["completion_tokens"] == 1


def test_the_first_choice_says_how_it_ended():
    outputs = read(
        (1, piece("a", "length", index=1)), (2, piece("b", "stop")), (3, piece("c", index=1))
    )

    assert outputs.predictions == ("stop",)
    assert outputs.measures["completion_tokens"] == 3


def test_confidence_comes_from_log_probabilities():
    def logprobs(*values: float) -> dict:
        return {"content": [{"logprob": math.log(value)} for value in values]}

    outputs = read(
        (1, piece("a", logprobs=logprobs(0.5))),
        (2, piece("b", logprobs=logprobs(0.5, 0.125))),
    )

    assert outputs.scores == outputs.confidences == (pytest.approx((1 / 32) ** (1 / 3)),)


def test_a_usage_in_every_event_is_the_last():
    def counted(number: int) -> dict:
        return piece("x") | {"usage": {"prompt_tokens": 1, "completion_tokens": number}}

    assert read((1, counted(1)), (2, counted(2))).measures["completion_tokens"] == 2


def test_events_that_cannot_be_read_are_counted_and_reading_goes_on():
    stream = OpenAIStream(0, longest_line=200)
    stream.feed(event(b"{oops") + event([1]) + event({"choices": 1}) + event({"error": {}}), 1)
    stream.feed(event({"choices": [{"index": 0, "delta": {"content": "x" * 300}}]}), 2)
    stream.feed(event({"choices": [1, {"delta": 1}, {"delta": {"content": 7}}]}), 3)
    stream.feed(event(piece("a", "stop")), 4)

    outputs = stream.finish()

    assert outputs.predictions == ("stop",)
    assert outputs.measures["unread_events"] == 5
    assert outputs.measures["completion_tokens"] == 1


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (b"", Reason.SHAPE),
        (b": ping\n\n", Reason.SHAPE),
        (b"data: [DONE]\n\n", Reason.SHAPE),
        (b"data: {oops\n\n", Reason.NOT_JSON),
        (b"<html>", Reason.SHAPE),
    ],
)
def test_a_stream_without_an_event_of_a_completion_is_refused(stream, reason):
    reader = OpenAIStream(0)
    reader.feed(stream, 1)

    with pytest.raises(Undecodable) as refused:
        reader.finish()
    assert refused.value.reason is reason


@pytest.mark.parametrize("protocol", Protocol)
def test_streams_are_read_where_they_may_be_completions(protocol):
    reader = stream_reader(PayloadSettings(codec=protocol), started_ns=0)

    assert (reader is not None) is (protocol in (Protocol.OPENAI, Protocol.AUTO))


@pytest.mark.parametrize(
    ("encoding", "read"), [(b"", True), (b" Identity", True), (b"gzip", False)]
)
def test_a_compressed_stream_is_not_read(encoding, read):
    reader = stream_reader(PayloadSettings(), started_ns=0, content_encoding=encoding)

    assert (reader is not None) is read
