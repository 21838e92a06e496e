"""Completions of language models, in the form OpenAI gave them: chat and plain, answered at once.

A request is one row of what shapes the work (`FEATURES`); its text is measured, not read. The
prediction of an answer is the finish reason of its first choice, the score the geometric mean of
the tokens' probabilities where there are log probabilities, and `usage` gives the measures
`prompt_tokens` and `completion_tokens`. For streams see `openai_stream`.

Reference: https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

import math
from typing import Any, Final

from sidecar.payload.columns import SCALARS
from sidecar.payload.extract import Inputs, Outputs, Undecodable, Value
from sidecar.payload.forms import Forms
from sidecar.payload.names import Reason

FEATURES: Final = (
    "model", "messages", "prompt_chars", "max_tokens", "temperature", "top_p", "tools", "stream",
)  # fmt: skip
"""The columns of a request: two of them counts of entries, `prompt_chars` of characters."""

_MEASURES: Final = ("prompt_tokens", "completion_tokens")
_NUMBERS: Final = frozenset({float, int})


class OpenAI:
    """The dialect; see the module's text."""

    def __init__(self, forms: Forms) -> None:
        self._forms = forms

    def inputs(self, document: object, tail: bytes | memoryview) -> Inputs:  # noqa: ARG002
        """A request as one row of `FEATURES`."""
        if type(document) is not dict or not ("messages" in document or "prompt" in document):
            raise Undecodable(Reason.SHAPE, "neither `messages` nor `prompt`")
        messages, tools = document.get("messages"), document.get("tools")
        most = document.get("max_completion_tokens", document.get("max_tokens"))
        row = [
            _scalar(document.get("model")),
            len(messages) if type(messages) is list else None,
            _characters(messages) if messages is not None else _characters(document.get("prompt")),
            _scalar(most),
            _scalar(document.get("temperature")),
            _scalar(document.get("top_p")),
            len(tools) if type(tools) is list else 0,
            document.get("stream") is True,
        ]
        return self._forms.named(FEATURES, [row], document)

    def outputs(
        self,
        document: object,
        tail: bytes | memoryview,  # noqa: ARG002 - tensors in binary are not of this protocol
        inputs: Inputs | None,  # noqa: ARG002 - a completion says itself what it is
    ) -> Outputs:
        """What an answer that came at once says."""
        choices = document.get("choices") if type(document) is dict else None
        if type(document) is not dict or type(choices) is not list or not choices:
            raise Undecodable(Reason.SHAPE, "no `choices`")
        first = choices[0]
        if type(first) is not dict:
            raise Undecodable(Reason.SHAPE, "a choice that is no object")
        found = log_probabilities(first)
        return completion(finish_reason(first), sum(found), len(found), usage_of(document))


def completion(
    finish: str | None, log_probability: float, tokens: int, measures: dict[str, float]
) -> Outputs:
    """An answer that ended so, with the summed log probability of some of its tokens."""
    if not tokens:
        return Outputs((finish,), measures=measures)
    # A sum of -inf is a probability of 0; a positive one is the server's rounding.
    confidence = math.exp(min(log_probability / tokens, 0.0))
    return Outputs((finish,), (confidence,), (confidence,), measures)


def finish_reason(choice: dict[str, Any]) -> str | None:
    """Why a choice ended; None while it has not."""
    reason = choice.get("finish_reason")
    return reason if type(reason) is str else None


def usage_of(document: dict[str, Any]) -> dict[str, float]:
    """The tokens that the server counted, as far as it says."""
    usage = document.get("usage")
    if type(usage) is not dict:
        return {}
    return {
        name: float(usage[name])
        for name in _MEASURES
        if type(usage.get(name)) in _NUMBERS and usage[name] >= 0
    }


def log_probabilities(choice: dict[str, Any]) -> list[float]:
    """The log probability of each token of a choice; of chat in one form, of plain in another."""
    found = choice.get("logprobs")
    if type(found) is not dict:
        return []
    content, tokens = found.get("content"), found.get("token_logprobs")
    if type(content) is list:
        tokens = [token.get("logprob") for token in content if type(token) is dict]
    if type(tokens) is not list:
        return []
    return [float(token) for token in tokens if type(token) in _NUMBERS]


def _characters(prompt: object) -> int | None:
    """The length of all texts of a prompt or of messages; None when there is no text in it."""
    total = 0
    found = False
    waiting = [prompt]
    while waiting:
        part = waiting.pop()
        if type(part) is str:
            total += len(part)
            found = True
        elif type(part) is list:
            waiting += part
        elif type(part) is dict:  # a message, or a part of one: pictures have no `text`
            waiting += [part.get("content"), part.get("text")]
    return total if found else None


def _scalar(value: object) -> Value:
    return value if type(value) in SCALARS else None  # type: ignore[return-value]
