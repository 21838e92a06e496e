"""Completions that come at once: what shapes a request, how an answer ended, what it cost."""

import math

import pytest

from sidecar.payload import Inputs, Outputs, Protocol, Reason, Source
from sidecar.payload.openai import FEATURES

OPENAI = Protocol.OPENAI
CHAT = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url"}]},
    ],
    "temperature": 0.5,
    "max_tokens": 10,
    "stream": True,
}


def answer(**more: object) -> dict:
    choice = {"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    return {"choices": [choice], "usage": usage, **more}


@pytest.mark.parametrize(
    ("document", "row"),
    [
        (CHAT, ["m", 2, 11, 10, 0.5, None, 0, True]),
        ({"model": "m", "prompt": "Hello"}, ["m", None, 5, None, None, None, 0, False]),
        ({"prompt": ["ab", "c"], "top_p": 1}, [None, None, 3, None, None, 1, 0, False]),
        ({"prompt": [1, 2, 3]}, [None, None, None, None, None, None, 0, False]),
        (
            {"messages": [], "tools": [{}, {}], "max_completion_tokens": 7, "max_tokens": 8},
            [None, 0, None, 7, None, None, 2, False],
        ),
        (
            {"messages": "no list", "model": {}, "temperature": [1], "stream": "yes"},
            [None, None, 7, None, None, None, 0, False],
        ),
    ],
)
def test_a_request_is_one_row_of_what_shapes_the_work(reader, document, row):
    assert reader(OPENAI).request(document) == Inputs(FEATURES, [row])


def test_features_and_sources_are_as_of_every_codec(reader):
    openai = reader(
        OPENAI, (Source(feature="model"), Source(pointer="/user")), features=("prompt_chars",)
    )

    assert openai.request({**CHAT, "user": "u1"}) == Inputs(("prompt_chars",), [[11]], ("m", "u1"))


@pytest.mark.parametrize("document", [{}, [], 1, {"input": "embed me"}])
def test_what_is_no_completion_is_refused(reader, document):
    assert reader(OPENAI).refusal(document).reason is Reason.SHAPE


def test_a_prompt_of_any_nesting_needs_no_recursion(reader):
    prompt: object = "deep"
    for _ in range(900):
        prompt = [prompt]

    assert reader(OPENAI).request({"prompt": prompt}).rows[0][2] == 4


def test_an_answer_is_its_finish_reason_and_its_tokens(reader):
    assert reader(OPENAI).response(answer()) == Outputs(
        ("stop",), measures={"prompt_tokens": 9.0, "completion_tokens": 2.0}
    )


@pytest.mark.parametrize(
    "logprobs",
    [
        {"content": [{"token": "a", "logprob": math.log(0.5)}, {"logprob": math.log(0.125)}]},
        {"token_logprobs": [None, math.log(0.5), math.log(0.125)]},
    ],
)
def test_the_score_is_the_geometric_mean_of_the_tokens_probabilities(reader, logprobs):
    choice = {"index": 0, "finish_reason": "length", "logprobs": logprobs}

    outputs = reader(OPENAI).response({"choices": [choice]})

    assert outputs.predictions == ("length",)
    assert outputs.scores == outputs.confidences == (pytest.approx(0.25),)


@pytest.mark.parametrize(("logprob", "confidence"), [("-Infinity", 0.0), ("0.001", 1.0)])
def test_log_probabilities_at_the_edge_are_probabilities_still(reader, logprob, confidence):
    text = '{"choices": [{"finish_reason": "stop", "logprobs": {"token_logprobs": [%s]}}]}'

    assert reader(OPENAI).response(text % logprob).scores == (confidence,)


@pytest.mark.parametrize(
    "usage",
    [None, 1, {}, {"prompt_tokens": -1, "completion_tokens": "2"}, {"completion_tokens": True}],
)
def test_a_usage_that_says_nothing_is_no_measure(reader, usage):
    assert reader(OPENAI).response(answer(usage=usage)).measures == {}


@pytest.mark.parametrize(
    "document", [{}, [], {"choices": []}, {"choices": [1]}, {"error": {"message": "x"}}]
)
def test_an_answer_without_a_choice_is_refused(reader, document):
    assert reader(OPENAI).refusal_of_response(document).reason is Reason.SHAPE


@pytest.mark.parametrize(
    "logprobs", [1, {}, {"content": 1}, {"content": [1, {}]}, {"token_logprobs": ["x"]}]
)
def test_log_probabilities_that_are_none_give_no_score(reader, logprobs):
    choice = {"finish_reason": ["stop"], "logprobs": logprobs}

    assert reader(OPENAI).response({"choices": [choice]}) == Outputs((None,))


def test_a_stream_that_was_kept_whole_is_read_without_times(reader):
    text = 'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}\n\ndata: [DONE]\n\n'

    outputs = reader(OPENAI).response(text, content_type=b"text/event-stream")

    assert outputs == Outputs((None,), measures={"completion_tokens": 1.0, "usage_missing": 1.0})
