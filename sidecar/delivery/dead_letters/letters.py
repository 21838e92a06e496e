"""What a dead letter is: a record that did not reach its end, and what has become of it since.

    waiting ──replay──► replayed            its answer was 2xx, or its sink took it
       │  ╲
       │   └──replay──► failed_again ──replay──► ...
       └──purge, bounds──► purged           content gone; what remains keeps it from coming back

There is one letter for each class, sink and record: whatever arrives twice is one letter. Pure.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

from sidecar.records import Record

LONGEST_TEXT: Final = 500
"""Characters kept of a reason, and shown of a path: sinks answer with pages of HTML."""


class DeadLetterClass(StrEnum):
    """What did not happen: the model's answer, or the record's delivery."""

    PREDICTION_FAILED = "prediction_failed"
    DELIVERY_FAILED = "delivery_failed"


class LetterState(StrEnum):
    """What has become of a letter."""

    WAITING = "waiting"
    REPLAYED = "replayed"
    FAILED_AGAIN = "failed_again"
    PURGED = "purged"


OPEN: Final = (LetterState.WAITING, LetterState.FAILED_AGAIN)
"""States of letters that somebody should still do something about."""


class Obstacle(StrEnum):
    """Why a failed prediction cannot be sent to a model again: we do not hold what was sent."""

    NOT_KEPT = "not_kept"
    CUT = "cut"
    REDACTED = "redacted"

    @property
    def sentence(self) -> str:
        """In words, with what would help the next time."""
        return _SENTENCES[self]


_SENTENCES: Final = {
    Obstacle.NOT_KEPT: "its request was not kept (route's capture.failures)",
    Obstacle.CUT: "its body was cut (dead_letters.full_body)",
    Obstacle.REDACTED: "its body was redacted",
}


class Answer(Struct, frozen=True, kw_only=True):
    """What a model answered to a replayed request, redacted like any answer.

    `cut` is the whole length of a body that was cut, -1 for one that is whole; `withheld` says why
    none was kept for the sake of secrets.
    """

    at_ns: int
    model: str
    status: int
    content_type: str
    body: bytes
    cut: int = -1
    withheld: str | None = None


class Letter(Struct, frozen=True, kw_only=True):
    """A letter without its content: what lists show.

    `id` grows in the order of arrival. `sink` is empty for a failed prediction. `at_ns` is when the
    request began, `arrived_ns` when the letter was put here, `changed_ns` when its state changed
    (wall clock). `attempts` counts replays, `job` is the last one that took it, `note` what that
    one, or who purged it, had to say.
    """

    id: int
    class_: DeadLetterClass
    state: LetterState
    sink: str
    record_id: str
    request_id: str
    at_ns: int
    arrived_ns: int
    changed_ns: int
    route: str
    model: str
    role: str
    status: int
    outcome: str
    failure: str | None
    method: str
    path: str
    reason: str
    obstacle: Obstacle | None
    size_bytes: int
    attempts: int
    job: str
    note: str


class Content(Struct, frozen=True, kw_only=True):
    """A letter with all that is kept of it.

    `encoded` is the record as it came, None once it is purged; `record` is None, too, when it is of
    a version that cannot be read.
    """

    letter: Letter
    encoded: bytes | None
    record: Record | None
    answer: Answer | None


def shortened(text: str) -> str:
    """A text on one line, and of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 3]}..."
