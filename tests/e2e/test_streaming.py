"""LitServe streams words through the sidecar as they come: nothing waits in a buffer on the way."""

import time

import openai
import pytest

MESSAGES = [{"role": "user", "content": "Count."}]


@pytest.fixture
def stream():
    """Return the words of a streamed answer and when each arrived, as shares of the whole time."""

    def stream(address):
        with openai.OpenAI(
            base_url=f"http://{address}/v1", api_key="none", max_retries=0
        ) as client:
            start = time.monotonic()
            words, arrivals = [], []
            for chunk in client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
                if chunk.choices and chunk.choices[0].delta.content:
                    words.append(chunk.choices[0].delta.content)
                    arrivals.append(time.monotonic() - start)
        return words, [arrival / arrivals[-1] for arrival in arrivals]

    return stream


def test_words_arrive_through_the_sidecar_in_the_rhythm_of_the_model(
    litserve, sidecar_before, stream
):
    words, rhythm = stream(litserve)
    proxied_words, proxied_rhythm = stream(sidecar_before(litserve).address)
    assert proxied_words == words
    assert len(words) == 20
    # A proxy that collects the answer would deliver the first word when the last is spoken (1.0).
    assert proxied_rhythm[0] < 0.4
    assert max(abs(a - b) for a, b in zip(rhythm, proxied_rhythm, strict=True)) < 0.25


def test_an_answer_that_is_not_streamed_is_whole(litserve, sidecar_before):
    with openai.OpenAI(
        base_url=f"http://{sidecar_before(litserve).address}/v1", api_key="none", max_retries=0
    ) as client:
        completion = client.chat.completions.create(model="m", messages=MESSAGES)
    assert completion.choices[0].message.content.split() == [str(number) for number in range(20)]


def test_a_client_that_leaves_mid_stream_leaves_the_server_usable(litserve, sidecar_before, stream):
    address = sidecar_before(litserve).address
    with openai.OpenAI(base_url=f"http://{address}/v1", api_key="none", max_retries=0) as client:
        answer = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        next(iter(answer))
        answer.close()
    words, _ = stream(address)
    assert len(words) == 20
