"""A streamed completion, read while it passes: how fast its tokens came and how it ended.

    time_to_first_token_ns   from the start of the request to the first piece of text; an event that
                             only names the role is none
    inter_token_ns           mean time between pieces of text
    prompt_tokens            as the server counted them, in its last `usage`
    completion_tokens        likewise; where that never came (it is sent on request only, and not by
                             a stream that breaks), the pieces, and `usage_missing` is 1
    unread_events            events that were too long or no JSON, where there were any

The prediction is the finish reason of the first choice, None when the stream never said one; the
score is as in `openai`. An account is given however the stream ends.
"""

from __future__ import annotations

from typing import Any, Final

from sidecar.payload.decode import document_of
from sidecar.payload.extract import Outputs, Undecodable
from sidecar.payload.names import Reason
from sidecar.payload.openai import completion, finish_reason, log_probabilities, usage_of
from sidecar.payload.sse import LONGEST_LINE, EventLines

_DONE: Final = b"[DONE]"


class OpenAIStream:
    """Reads the events of one answer. `started_ns` is when its request began; None: not known."""

    def __init__(self, started_ns: int | None, *, longest_line: int = LONGEST_LINE) -> None:
        self._started_ns = started_ns
        self._lines = EventLines(longest_line)
        self._events = 0
        self._unread = 0
        self._pieces = 0
        self._first_ns = 0
        self._last_ns = 0
        self._fed_ns = 0
        self._finish: str | None = None
        self._usage: dict[str, float] = {}
        self._log_probability = 0.0
        self._tokens = 0

    def feed(self, data: bytes | memoryview, now_ns: int) -> None:
        """Take the next bytes, which arrived at `now_ns`. Never raises."""
        self._fed_ns = now_ns
        for event in self._lines.feed(data):
            self._take(event, now_ns)

    def finish(self) -> Outputs:
        """What the answer said until it ended. Raises Undecodable when it had no event."""
        for event in self._lines.finish():
            self._take(event, self._fed_ns)
        unread = self._unread + self._lines.overflows
        if not self._events:
            reason = Reason.NOT_JSON if unread else Reason.SHAPE
            raise Undecodable(reason, "a stream without an event of a completion")
        measures = {**self._usage}
        if "completion_tokens" not in measures:
            measures |= {"completion_tokens": float(self._pieces), "usage_missing": 1.0}
        if unread:
            measures["unread_events"] = float(unread)
        if self._started_ns is not None:
            measures |= self._times(self._started_ns)
        return completion(self._finish, self._log_probability, self._tokens, measures)

    def _times(self, started_ns: int) -> dict[str, float]:
        if not self._pieces:
            return {}
        times = {"time_to_first_token_ns": float(self._first_ns - started_ns)}
        if self._pieces > 1:
            times["inter_token_ns"] = (self._last_ns - self._first_ns) / (self._pieces - 1)
        return times

    def _take(self, event: bytes, now_ns: int) -> None:
        if event == _DONE:
            return
        try:
            chunk = document_of(event)
        except Undecodable:
            self._unread += 1
            return
        choices = chunk.get("choices") if type(chunk) is dict else None
        if type(chunk) is not dict or type(choices) is not list:
            self._unread += 1
            return
        self._events += 1
        self._usage = usage_of(chunk) or self._usage
        for choice in choices:
            if type(choice) is dict:
                self._take_choice(choice, now_ns)

    def _take_choice(self, choice: dict[str, Any], now_ns: int) -> None:
        if _has_text(choice):
            if not self._pieces:
                self._first_ns = now_ns
            self._last_ns = now_ns
            self._pieces += 1
        if choice.get("index", 0) == 0:
            self._finish = finish_reason(choice) or self._finish
            found = log_probabilities(choice)
            self._log_probability += sum(found)
            self._tokens += len(found)


def _has_text(choice: dict[str, Any]) -> bool:
    """Whether a piece of text came with this event: of chat in `delta`, of plain in `text`."""
    delta = choice.get("delta")
    text = delta.get("content") if type(delta) is dict else choice.get("text")
    return type(text) is str and text != ""
